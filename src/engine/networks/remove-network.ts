import { isTiffinError, TiffinError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault-point.ts";
import type { Network } from "../../network/network.ts";
import type { EngineContext } from "../context.ts";
import { asksFor } from "./container-networks.ts";
import { removeBridge } from "./ensure-bridge.ts";
import { emitNetworkEvent } from "./network-event.ts";

/** Removes a network that no running container is in, and its bridge. @throws permission-denied; not-found */
export function removeNetwork(context: EngineContext, name: string): Promise<void> {
  return context.lock.hold("network", () => {
    const network = context.networks.table.find(name);
    refuseUsed(context, network);
    if (network.driver === "bridge") removeBridge(context, network);
    faultPoint("network:removing");
    context.networks.table.delete(network.id);
    context.networks.forget(network.id);
    faultPoint("network:removed");
    emitNetworkEvent(context, network, "destroy");
  });
}

function refuseUsed(context: EngineContext, network: Network): void {
  if (network.predefined) {
    throw new TiffinError(
      "permission-denied",
      `${network.name} is a pre-defined network and cannot be removed`,
    );
  }
  const members = context.networks.membersOf(network.id);
  if (members.length === 0) return;
  const shown = members.map(({ containerId, endpoint }) => {
    const member = context.containers.withId(containerId)?.name ?? containerId;
    return `name:"${member}" id:"${endpoint.id.slice(0, 12)}"`;
  });
  throw new TiffinError(
    "permission-denied",
    `error while removing network: network ${network.name} has active endpoints (${shown.join(", ")})`,
    {
      hint: `Stop its containers, or take them out: tiffin network disconnect ${network.name} CONTAINER`,
    },
  );
}

/** Removes the networks wanted that no container asks for. @returns their names */
export async function pruneNetworks(
  context: EngineContext,
  isWanted: (network: Network) => boolean,
  options: { dryRun: boolean },
): Promise<string[]> {
  const removed: string[] = [];
  for (const network of context.networks.table.all()) {
    if (network.predefined || !isWanted(network)) continue;
    const isUsed = context.containers.all().some(({ spec }) => asksFor(spec, network));
    if (isUsed || context.networks.membersOf(network.id).length > 0) continue;
    if (!options.dryRun && !(await removeUnlessUsed(context, network.id))) continue;
    removed.push(network.name);
  }
  if (!options.dryRun) {
    const attributes = { reclaimed: "0" };
    context.events.emit({ type: "network", action: "prune", actorId: "", attributes });
  }
  return removed;
}

async function removeUnlessUsed(context: EngineContext, id: string): Promise<boolean> {
  try {
    await removeNetwork(context, id);
    return true;
  } catch (error) {
    if (isTiffinError(error, "permission-denied", "not-found")) return false;
    throw error;
  }
}
