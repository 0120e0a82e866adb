import type { Network } from "../../network/network.ts";
import type { EngineContext } from "../context.ts";

/** Tells the world of a network's change, with docker's attributes. */
export function emitNetworkEvent(
  context: EngineContext,
  network: Network,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  context.events.emit({
    type: "network",
    action,
    actorId: network.id,
    attributes: { name: network.name, type: network.driver, ...attributes },
  });
}
