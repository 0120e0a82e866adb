import { TiffinError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault-point.ts";
import { interfaceMessages, linkMessages } from "../../network/link-operations.ts";
import type { Attachment, Network } from "../../network/network.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import type { NetworkRequest } from "../types.ts";
import { writeAttachment } from "./attachment-file.ts";
import { changeInside } from "./change-inside.ts";
import { checkRequest } from "./check-requests.ts";
import { hasOwnNetworks, networksOf, requestedNetworks } from "./container-networks.ts";
import { checkRateIn, rateOf, removeShaper } from "./limit-rate.ts";
import { freeEndpoint, makeEndpoint } from "./make-endpoint.ts";
import { writeNameFiles } from "./name-files.ts";
import { beginNames } from "./name-service.ts";
import { emitNetworkEvent } from "./network-event.ts";
import { publish } from "./publish.ts";

/** Puts a container into a further network: at once when it runs, else from its next start on. */
export async function connectNetwork(
  context: EngineContext,
  asked: { name: string; container: string; request: NetworkRequest },
): Promise<void> {
  const { id } = context.containers.find(asked.container);
  await context.lock.hold(id, () => {
    const container = context.containers.find(id);
    const network = context.networks.table.find(asked.name);
    checkConnection(context, container, network);
    const request = { ...asked.request, network: network.name };
    checkRequest(network, request);
    checkRateIn(network, container.spec);
    const networks = [...requestedNetworks(container.spec), request];
    if (isRunning(container)) joinLive(context, container, { network, request });
    context.containers.setSpec(id, { ...container.spec, networks }, "settled");
    faultPoint("network:connected");
    writeNameFiles(context, context.containers.find(id));
    beginNames(context, id);
    emitNetworkEvent(context, network, "connect", { container: id });
  });
}

function checkConnection(
  context: EngineContext,
  container: StoredContainer,
  network: Network,
): void {
  const { spec, name } = container;
  if (spec.networkMode === "none" || network.driver === "null") {
    throw new TiffinError(
      "permission-denied",
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  }
  if (!hasOwnNetworks(spec) || network.driver === "host") {
    throw new TiffinError(
      "permission-denied",
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
  }
  if (networksOf(context, spec).some((known) => known.network.id === network.id)) {
    throw new TiffinError(
      "permission-denied",
      `endpoint with name ${name} already exists in network ${network.name}`,
    );
  }
}

function joinLive(
  context: EngineContext,
  container: StoredContainer,
  place: { network: Network; request: NetworkRequest },
): void {
  const { id, state, spec } = container;
  const before: Attachment = context.networks.attachments.get(id) ?? { endpoints: [], ports: [] };
  const used = new Set(before.endpoints.map(({ interfaceName }) => interfaceName));
  let index = 0;
  while (used.has(`eth${index}`)) index++;
  const link = makeEndpoint(context, id, { ...place, index });
  const isDefault = !place.network.internal && !before.endpoints.some((one) => one.isDefault);
  const endpoint = { ...link.endpoint, isDefault };
  const rated = { ...link, endpoint, ...rateOf(spec) };
  try {
    const endpoints = [...before.endpoints, endpoint];
    const ports = isDefault
      ? publish(context, { id, spec }, endpoint, place.network)
      : before.ports;
    const attachment = { endpoints, ports };
    // On record before it is there: what a killed engine has begun is taken for done, and goes with the container.
    writeAttachment(context.places, id, attachment);
    faultPoint("network:connecting");
    context.networks.host.change(
      linkMessages(rated, state.pid),
      `connect ${container.name} to network ${place.network.name}`,
    );
    changeInside(context, id, interfaceMessages(rated));
    context.networks.attachments.set(id, attachment);
  } catch (error) {
    if (isDefault) context.networks.lead(id);
    removeShaper(context, endpoint);
    if (endpoint.hostInterface !== "") context.networks.host.deleteLink(endpoint.hostIndex);
    freeEndpoint(context, endpoint);
    writeAttachment(context.places, id, before);
    throw error;
  }
}
