import type { NamedMember, NamedNetwork, NameTable } from "../../network/dns-names.ts";
import type { EngineContext } from "../context.ts";
import type { Network } from "../../network/network.ts";
import { networkName, requestedNetworks } from "./container-networks.ts";

/** What a running container may learn of names now: who is in its networks, what it calls them, and the host. */
export function nameTableFor(context: EngineContext, id: string): NameTable {
  const { networks, containers } = context;
  const endpoints = networks.attachments.get(id)?.endpoints ?? [];
  const way = endpoints.find(({ isDefault }) => isDefault);
  const spec = containers.withId(id)?.spec;
  const links = spec ? requestedNetworks(spec).flatMap((request) => request.links) : [];
  return {
    networks: endpoints.flatMap(({ networkId }) => {
      const network = networks.table.withId(networkId);
      return network ? [namedNetwork(context, network)] : [];
    }),
    links: new Map(
      links.map((link): [string, string] => {
        const [name = "", alias = name] = link.toLowerCase().split(":");
        return [alias, name];
      }),
    ),
    host: { ipv4: way?.gateway4 ?? "", ipv6: way?.gateway6 ?? "" },
  };
}

function namedNetwork({ networks, containers }: EngineContext, network: Network): NamedNetwork {
  const members = networks
    .membersOf(network.id)
    .flatMap(({ containerId, endpoint }): NamedMember[] => {
      const container = containers.withId(containerId);
      if (!container) return [];
      const { name, spec } = container;
      const request = requestedNetworks(spec).find(
        (one) => networkName(one.network) === network.name || network.id.startsWith(one.network),
      );
      const names = [name, containerId.slice(0, 12), spec.hostname, ...(request?.aliases ?? [])];
      return [{ names, ipv4: endpoint.ipv4, ipv6: endpoint.ipv6 }];
    });
  return { name: network.name, members };
}
