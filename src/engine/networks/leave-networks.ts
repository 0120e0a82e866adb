import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import { removeShaper } from "./limit-rate.ts";
import { freeEndpoint } from "./make-endpoint.ts";
import { endNames } from "./name-service.ts";
import { emitNetworkEvent } from "./network-event.ts";

/**
 * After a run: its ports and addresses are free again. Its interfaces go with its network namespace, unless another container
 * has joined that one; where uploads queue on the host is taken away. Idempotent.
 */
export function leaveNetworks(context: EngineContext, id: string): void {
  const { networks, containers } = context;
  endNames(context, id);
  const attachment = networks.attachments.get(id);
  if (!attachment) return;
  networks.attachments.delete(id);
  networks.lead(id);
  const isShared = containers
    .all()
    .some((other) => other.spec.networkMode === `container:${id}` && isRunning(other));
  for (const endpoint of attachment.endpoints) {
    removeShaper(context, endpoint);
    if (isShared && endpoint.hostInterface !== "") networks.host.deleteLink(endpoint.hostIndex);
    freeEndpoint(context, endpoint);
    const network = networks.table.withId(endpoint.networkId);
    if (network) emitNetworkEvent(context, network, "disconnect", { container: id });
  }
}
