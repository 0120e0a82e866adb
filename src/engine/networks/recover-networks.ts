import { isTiffinError } from "../../base/error.ts";
import { portElements } from "../../network/port-elements.ts";
import { networkElements } from "../../network/firewall.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import { readAttachment } from "./attachment-file.ts";
import { networkName, requestedNetworks } from "./container-networks.ts";
import { leaveLive } from "./disconnect-network.ts";

/** Finds the addresses and ports of containers that an earlier engine left running. Before anything new may take them. */
export function recoverAttachments(context: EngineContext): void {
  const { containers, networks, places } = context;
  for (const { id } of containers.all()) {
    const attachment = readAttachment(places, id);
    if (!attachment) continue;
    networks.attachments.set(id, attachment);
    for (const { networkId, ipv4, ipv6 } of attachment.endpoints) {
      const network = networks.table.withId(networkId);
      for (const allocator of network ? networks.allocatorsOf(network) : []) {
        for (const address of [ipv4, ipv6]) {
          if (address !== "" && allocator.has(address)) allocator.restore(address);
        }
      }
    }
  }
}

/**
 * Makes a running container's networks those that it asks for, where an earlier engine was killed between the two: an endpoint that was
 * begun and never recorded goes, and one whose end is recorded.
 */
export function settleAttachments(context: EngineContext): void {
  const { networks, containers } = context;
  for (const [id, { endpoints }] of networks.attachments) {
    const container = containers.withId(id);
    if (!container || !isRunning(container)) continue;
    const asked = new Set(
      requestedNetworks(container.spec).map(({ network }) => findId(context, network)),
    );
    for (const { networkId } of endpoints) {
      if (!asked.has(networkId)) leaveLive(context, container, networkId);
    }
  }
}

function findId({ networks }: EngineContext, name: string): string | undefined {
  try {
    return networks.table.find(networkName(name)).id;
  } catch (error) {
    // Gone since; what is left of it in the container goes too.
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}

/**
 * Makes the firewall what the containers that run need, whatever happened to it meanwhile: after a flush it is whole again, and
 * nothing is left of an engine that was killed. Call it when every container is recovered.
 */
export function recoverFirewall(context: EngineContext): void {
  const { networks, containers } = context;
  const present = networks.table
    .all()
    .filter(({ driver }) => driver === "bridge")
    .filter((network) => networks.host.link(networks.bridgeName(network))?.kind === "bridge");
  for (const network of present) {
    networks.firewall.expect(network.id, networkElements(network, networks.bridgeName(network)));
  }
  const led = [...networks.attachments].flatMap(([id, { endpoints, ports }]) => {
    const container = containers.withId(id);
    const way = endpoints.find(({ isDefault }) => isDefault);
    return container && isRunning(container) && way && ports.length > 0 ? [{ id, way, ports }] : [];
  });
  for (const { id, way, ports } of led) networks.firewall.expect(id, portElements(way, ports));
  const isWanted = present.length > 0 && networks.firewall.policy !== "none";
  if (isWanted) networks.firewall.makeAgain();
  else networks.firewall.discard();
  const isLed = networks.firewall.inForce !== "none";
  for (const network of present) {
    networks.host.routeLoopback(networks.bridgeName(network), isLed);
  }
  for (const { id, way, ports } of led) networks.passOn(id, way, ports);
}

/** When the engine ends with nothing running, an engine in other than the default places takes all of its own from the host. */
export function closeNetworks(context: EngineContext): void {
  const { networks, containers } = context;
  const isIdle = !containers.all().some((container) => isRunning(container));
  if (isIdle && networks.suffix !== "") {
    for (const network of networks.table.all()) {
      if (network.driver !== "bridge") continue;
      const link = networks.host.link(networks.bridgeName(network));
      if (link?.kind === "bridge") networks.host.deleteLink(link.index);
    }
    networks.firewall.discard();
  }
  networks.close();
}
