import type { PlannedLink } from "../../network/link-operations.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec } from "../types.ts";
import { networkName, plainRequest, requestedNetworks } from "./container-networks.ts";
import { makeEndpoint } from "./make-endpoint.ts";

const DEFAULT_NETWORK = "bridge";

/**
 * Whether a container has one interface, on the default bridge, with nothing special about it: what can be made before anyone
 * asks for the container.
 */
export function wantsPlainLink(spec: ContainerSpec): boolean {
  const [request, ...others] = requestedNetworks(spec);
  return (
    request !== undefined &&
    others.length === 0 &&
    networkName(request.network) === DEFAULT_NETWORK &&
    `${request.ipv4}${request.ipv6}${request.mac}` === "" &&
    spec.networkRate === null
  );
}

/** The interface of a container that nobody has asked for yet; its addresses are taken. @throws what is in the way */
export function makeReadyLink(context: EngineContext, containerId: string): PlannedLink {
  const network = context.networks.table.find(DEFAULT_NETWORK);
  const request = plainRequest(DEFAULT_NETWORK);
  const link = makeEndpoint(context, containerId, { network, request, index: 0 });
  return { ...link, endpoint: { ...link.endpoint, isDefault: true }, isMade: true };
}

/** Whether the bridge that it is on is still there: somebody may have taken it away, and a container have it made anew. */
export function isOnBridge({ networks }: EngineContext, { on }: PlannedLink): boolean {
  const name = networks.bridgeName(networks.table.find(DEFAULT_NETWORK));
  return networks.host.link(name)?.index === on;
}
