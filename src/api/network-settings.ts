import type { NetworkVerbs } from "../engine/networks/network-verbs.ts";
import {
  hasOwnNetworks,
  networkName,
  plainRequest,
  requestedNetworks,
} from "../engine/networks/container-networks.ts";
import type { Container, ContainerSpec, NetworkRequest } from "../engine/types.ts";
import type { Endpoint, Network, PublishedPort } from "../network/network.ts";
import { type PortBindings, singlePorts } from "../network/published-ports.ts";
import { unlessMissing } from "./unless-missing.ts";
import type { EndpointWire } from "./wire.ts";

/** What of the engine's networks an answer about a container needs. */
export type NetworkFacts = Pick<NetworkVerbs, "find" | "attachment">;

/** docker's `NetworkSettings.Networks`: the networks that a container asks for, with what it has there while it runs. */
export function endpointsOf(
  container: Pick<Container, "id" | "name" | "spec">,
  networks: NetworkFacts,
): Record<string, EndpointWire> {
  const { id, spec } = container;
  const { networkMode } = spec;
  if (networkMode.startsWith("container:") || networkMode.startsWith("ns:")) return {};
  const attachment = networks.attachment(id);
  const requests = hasOwnNetworks(spec) ? requestedNetworks(spec) : [plainRequest(networkMode)];
  return Object.fromEntries(
    requests.map((request) => {
      const name = networkName(request.network);
      const network = unlessMissing(() => networks.find(name));
      const endpoint = attachment?.endpoints.find(({ networkId }) => networkId === network?.id);
      const names = network?.predefined === false ? namesOf(container, request) : null;
      return [network?.name ?? name, formatEndpoint({ network, endpoint, request, names })];
    }),
  );
}

/** The names by which others of a user's network find the container. */
function namesOf(
  { id, name, spec }: Pick<Container, "id" | "name" | "spec">,
  request: NetworkRequest,
): string[] {
  return [...new Set([name, ...request.aliases, id.slice(0, 12), spec.hostname])].filter(
    (one) => one !== "",
  );
}

function formatEndpoint(part: {
  network: Network | undefined;
  endpoint: Endpoint | undefined;
  request: NetworkRequest;
  names: string[] | null;
}): EndpointWire {
  const { network, endpoint, request } = part;
  const asked = {
    ...(request.ipv4 === "" ? {} : { IPv4Address: request.ipv4 }),
    ...(request.ipv6 === "" ? {} : { IPv6Address: request.ipv6 }),
  };
  return {
    IPAMConfig: Object.keys(asked).length === 0 ? null : asked,
    Links: request.links.length === 0 ? null : request.links,
    Aliases: request.aliases.length === 0 ? null : request.aliases,
    MacAddress: endpoint?.mac ?? request.mac,
    DriverOpts: Object.keys(request.driverOptions).length === 0 ? null : request.driverOptions,
    GwPriority: request.gatewayPriority,
    NetworkID: network?.id ?? "",
    EndpointID: endpoint?.id ?? "",
    Gateway: endpoint?.gateway4 ?? "",
    IPAddress: endpoint?.ipv4 ?? "",
    IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
    IPv6Gateway: endpoint?.gateway6 ?? "",
    GlobalIPv6Address: endpoint?.ipv6 ?? "",
    GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
    DNSNames: part.names,
  };
}

/** docker's `NetworkSettings` of an inspect. What stands outside of Networks is about the default bridge alone. */
export function formatNetworkSettings(
  container: Container,
  networks: NetworkFacts,
): Record<string, unknown> {
  const all = endpointsOf(container, networks);
  const bridge = all["bridge"];
  const ports = networks.attachment(container.id)?.ports ?? [];
  const isRunning = container.state.pid !== 0;
  return {
    Bridge: "",
    SandboxID: "",
    SandboxKey: isRunning ? `/proc/${container.state.pid}/ns/net` : "",
    Ports: isRunning ? formatPorts(container.spec, ports) : {},
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: all,
  };
}

type PortMap = Record<string, { HostIp: string; HostPort: string }[] | null>;

/** Published ports with where on the host, and exposed ones with null; none where the network is somebody else's. */
function formatPorts(spec: ContainerSpec, ports: readonly PublishedPort[]): PortMap {
  if (!hasOwnNetworks(spec)) return {};
  const map: PortMap = {};
  for (const port of spec.exposedPorts.flatMap(singlePorts)) map[port] = null;
  for (const { protocol, hostIp, hostPort, containerPort, count } of ports) {
    for (let index = 0; index < count; index++) {
      const key = `${containerPort + index}/${protocol}`;
      map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort + index) }];
    }
  }
  return map;
}

/** `HostConfig.PortBindings`: what was asked for. */
export function formatBindings(bindings: PortBindings): PortMap {
  return Object.fromEntries(
    Object.entries(bindings).map(([port, list]) => [
      port,
      list.map(({ hostIp, hostPort }) => ({ HostIp: hostIp, HostPort: hostPort })),
    ]),
  );
}

/** The ports of `GET /containers/json`: those published, and those only exposed. */
export function portSummaries(container: Container, networks: NetworkFacts): object[] {
  if (container.state.pid === 0) return [];
  const map = formatPorts(container.spec, networks.attachment(container.id)?.ports ?? []);
  return Object.entries(map).flatMap(([text, bindings]) => {
    const [port, type] = text.split("/");
    const common = { PrivatePort: Number(port), Type: type };
    if (bindings === null) return [common];
    return bindings.map(({ HostIp: ip, HostPort: hostPort }) => ({
      IP: ip,
      ...common,
      PublicPort: Number(hostPort),
    }));
  });
}
