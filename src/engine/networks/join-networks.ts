import { faultPoint } from "../../base/fault-point.ts";
import type { PlannedLink } from "../../network/link-operations.ts";
import { readSetting } from "../../network/host-network.ts";
import type { Attachment, Network, PublishedPort } from "../../network/network.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { writeAttachment } from "./attachment-file.ts";
import { networksOf } from "./container-networks.ts";
import { rateOf } from "./limit-rate.ts";
import { freeEndpoint, makeEndpoint } from "./make-endpoint.ts";
import { emitNetworkEvent } from "./network-event.ts";
import { publish } from "./publish.ts";

/**
 * Before a start: takes addresses and ports in the container's networks, on record in its run directory, and leads the ports to
 * where it will be. The interfaces are the start plan's (network/link-operations.ts). Nothing is taken when this fails.
 * @param ready the only one, when it was made ahead; its addresses are this function's from now on
 * @throws not-found (network), conflict (address, port), resource-exhausted, permission-denied, unavailable
 */
export function joinNetworks(
  context: EngineContext,
  container: StoredContainer,
  ready?: PlannedLink,
): PlannedLink[] {
  const { id, spec } = container;
  const joined: { network: Network; link: PlannedLink; priority: number }[] = [];
  try {
    for (const [index, { network, request }] of networksOf(context, spec).entries()) {
      const link = ready ?? makeEndpoint(context, id, { network, request, index });
      joined.push({ network, link, priority: request.gatewayPriority });
    }
    if (joined.length === 0) return [];
    const way = defaultWay(joined);
    const links = joined.map(({ link }) => ({
      ...link,
      endpoint: { ...link.endpoint, isDefault: link === way?.link },
    }));
    const endpoints = links.map(({ endpoint }) => endpoint);
    const leading = endpoints.find(({ isDefault }) => isDefault);
    const ports = way && leading ? publish(context, { id, spec }, leading, way.network) : [];
    faultPoint("network:published");
    const attachment: Attachment = { endpoints, ports };
    writeAttachment(context.places, id, attachment);
    faultPoint("network:recorded");
    context.networks.attachments.set(id, attachment);
    for (const { network } of joined)
      emitNetworkEvent(context, network, "connect", { container: id });
    return links.map((link) => ({
      ...link,
      ...rateOf(spec),
      hairpin: link.endpoint === leading && needsHairpin(ports),
    }));
  } catch (error) {
    for (const { link } of joined) freeEndpoint(context, link.endpoint);
    context.networks.attachments.delete(id);
    context.networks.lead(id);
    throw error;
  }
}

/** Where the kernel filters what bridges pass on, it leads a published port to its container on the bridge itself. */
export function needsHairpin(ports: readonly PublishedPort[]): boolean {
  return ports.length > 0 && readSetting("bridge/bridge-nf-call-iptables") === "1";
}

/** The one that leads out: of the highest priority, and of those alike the first by name, as in docker. */
function defaultWay<Joined extends { network: Network; link: PlannedLink; priority: number }>(
  joined: readonly Joined[],
): Joined | undefined {
  return joined
    .filter(({ network }) => !network.internal)
    .toSorted(
      (one, other) =>
        other.priority - one.priority || (one.network.name < other.network.name ? -1 : 1),
    )[0];
}
