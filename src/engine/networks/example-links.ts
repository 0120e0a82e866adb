import type { PlannedLink } from "../../network/link-operations.ts";
import { parseAddress, parseSubnet, subnetSize, formatAddress } from "../../network/subnet.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec } from "../types.ts";
import { networksOf } from "./container-networks.ts";
import { choosePools } from "./ensure-bridge.ts";
import { rateOf } from "./limit-rate.ts";

/** Interfaces as a start would have them, for a plan that is only shown: no address is taken, no bridge made. */
export function exampleLinks(context: EngineContext, spec: ContainerSpec): PlannedLink[] {
  return networksOf(context, spec).map(({ network, request }, index) => {
    const pools =
      network.pools.length > 0 ? network.pools : choosePools(context, network, "default");
    const part = (version: 4 | 6): { address: string; prefixLength: number; gateway: string } => {
      const pool = pools.find(({ subnet }) => subnet.includes(":") === (version === 6));
      if (!pool) return { address: "", prefixLength: 0, gateway: "" };
      const subnet = parseSubnet(pool.subnet);
      const asked = version === 4 ? request.ipv4 : request.ipv6;
      const { value } = parseAddress(
        pool.gateway || formatAddress({ version, value: subnet.base }),
      );
      const next = subnet.base + ((value - subnet.base + 1n) % subnetSize(subnet));
      const address = asked || formatAddress({ version, value: next });
      return { address, prefixLength: subnet.prefixLength, gateway: pool.gateway };
    };
    const [v4, v6] = [part(4), part(6)];
    return {
      on: 0,
      mtu: 0,
      ...rateOf(spec),
      ...(network.driver === "macvlan" ? { macvlanMode: "bridge" } : {}),
      endpoint: {
        id: "",
        networkId: network.id,
        interfaceName: `eth${index}`,
        interfaceIndex: 100 + index,
        hostInterface: `tv-example${index}`,
        hostIndex: 0,
        mac: request.mac || "02:42:00:00:00:02",
        ipv4: v4.address,
        ipv4PrefixLength: v4.prefixLength,
        gateway4: network.internal ? "" : v4.gateway,
        ipv6: v6.address,
        ipv6PrefixLength: v6.prefixLength,
        gateway6: network.internal ? "" : v6.gateway,
        isDefault: index === 0,
      },
    };
  });
}
