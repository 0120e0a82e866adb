import { invalidArgument, isTiffinError } from "../../base/error.ts";
import type { NetworkRate } from "../../base/network-rate.ts";
import type { NetlinkMessage } from "../../kernel/netlink.ts";
import { errnoOf } from "../../kernel/syscall.ts";
import { removeEgressLimit, removeIngress } from "../../kernel/traffic-control.ts";
import { resolveCapabilities } from "../../namespaces/capabilities.ts";
import { hostRateMessages, insideRateMessages, shaperName } from "../../network/link-rate.ts";
import type { Endpoint, LinkRate, Network } from "../../network/network.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec } from "../types.ts";
import { changeInside } from "./change-inside.ts";
import { hasOwnNetworks, networksOf } from "./container-networks.ts";
import { mtuOf } from "./ensure-bridge.ts";

const CAP_NET_ADMIN = 12n;

/** The rate of each of a container's interfaces. */
export function rateOf(spec: ContainerSpec): { rate?: LinkRate } {
  return spec.networkRate ? { rate: { ...spec.networkRate, upAt: uploadsQueueAt(spec) } } : {};
}

/** Who may change the queues of his interfaces could lift a limit there. */
function uploadsQueueAt(spec: ContainerSpec): LinkRate["upAt"] {
  const facts = { lastCapability: 40, available: (1n << 64n) - 1n };
  const mayLift = ((resolveCapabilities(spec, facts) >> CAP_NET_ADMIN) & 1n) === 1n;
  return mayLift ? "host" : "container";
}

/** @throws invalid-argument: there is nothing of the container's own to limit, or nothing on the host's side of it */
export function checkRate(context: EngineContext, spec: ContainerSpec): void {
  if (!spec.networkRate) return;
  if (!hasOwnNetworks(spec)) {
    throw invalidArgument(
      `conflicting options: --net-rate and the network mode "${spec.networkMode}"`,
      "Only a container with networks of its own has a rate: leave --network out, or name a network",
    );
  }
  for (const { network } of networksOf(context, spec)) checkRateIn(network, spec);
}

/** @throws invalid-argument */
export function checkRateIn(network: Network, spec: ContainerSpec): void {
  if (!spec.networkRate || network.driver !== "macvlan") return;
  throw invalidArgument(
    `Cannot limit the rate in network "${network.name}": a macvlan interface has no end on the host`,
    "Use a bridge network, or leave --net-rate out",
  );
}

/**
 * Makes the rates of a running container's interfaces those of `spec`, whatever they are now. Idempotent. One that has ended at this
 * moment is left alone: the rate is for its next start.
 * @throws what the kernel refuses
 */
export function applyRate(context: EngineContext, id: string, spec: ContainerSpec): void {
  try {
    changeRate(context, id, spec);
  } catch (error) {
    const name = errnoOf(error);
    const hasEnded = name === undefined && isTiffinError(error, "conflict");
    if (!hasEnded && name !== "ESRCH" && name !== "ENODEV") throw error;
  }
}

function changeRate(context: EngineContext, id: string, spec: ContainerSpec): void {
  const { host, table, attachments } = context.networks;
  const rate = { down: 0, up: 0, ...spec.networkRate, upAt: uploadsQueueAt(spec) };
  for (const endpoint of attachments.get(id)?.endpoints ?? []) {
    const network = table.withId(endpoint.networkId);
    if (!network || endpoint.hostInterface === "") continue;
    const near = { index: endpoint.hostIndex };
    const onHost = (message: NetlinkMessage): void =>
      host.change([message], "change the container's rate");
    const inside = (message: NetlinkMessage): void => changeInside(context, id, [message]);
    if (rate.down === 0) unlessMissing(() => onHost(removeEgressLimit(near)));
    if (rate.upAt === "host") {
      unlessMissing(() => onHost(removeIngress(near)));
      removeShaper(context, endpoint);
    } else if (rate.up === 0) {
      unlessMissing(() => inside(removeEgressLimit({ index: endpoint.interfaceIndex })));
    }
    const link = { endpoint, mtu: mtuOf(network), rate };
    for (const message of hostRateMessages(link)) onHost(message);
    for (const message of insideRateMessages(link)) inside(message);
  }
}

function unlessMissing(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    // No such queue: ENOENT, EINVAL for an ingress one.
    const name = errnoOf(error);
    if (name !== "ENOENT" && name !== "EINVAL") throw error;
  }
}

/** Takes away where an endpoint's uploads queue on the host, if they do. Idempotent. */
export function removeShaper({ networks }: EngineContext, endpoint: Endpoint): void {
  if (endpoint.hostInterface === "") return;
  const link = networks.host.link(shaperName(endpoint));
  if (link?.kind === "ifb") networks.host.deleteLink(link.index);
}

export function isSameRate(one: NetworkRate | null, other: NetworkRate | null): boolean {
  return (one?.down ?? 0) === (other?.down ?? 0) && (one?.up ?? 0) === (other?.up ?? 0);
}
