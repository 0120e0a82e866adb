import { isTiffinError, TiffinError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault-point.ts";
import { deleteLink, newDefaultRoute } from "../../kernel/rtnetlink.ts";
import type { Endpoint } from "../../network/network.ts";
import { addressBytes, parseAddress } from "../../network/subnet.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import { writeAttachment } from "./attachment-file.ts";
import { changeInside } from "./change-inside.ts";
import { networkName, networksOf } from "./container-networks.ts";
import { removeShaper } from "./limit-rate.ts";
import { freeEndpoint } from "./make-endpoint.ts";
import { writeNameFiles } from "./name-files.ts";
import { emitNetworkEvent } from "./network-event.ts";

/** Takes a container out of a network: at once when it runs. `force`: it need not be there any more. */
export async function disconnectNetwork(
  context: EngineContext,
  asked: { name: string; container: string; force: boolean },
): Promise<void> {
  const found = findContainer(context, asked);
  if (!found) return;
  const { id } = found;
  await context.lock.hold(id, () => {
    const container = context.containers.find(id);
    const network = context.networks.table.find(asked.name);
    if (network.driver === "host") {
      throw new TiffinError(
        "permission-denied",
        "container cannot be disconnected from host network or connected to host network",
      );
    }
    const networks = networksOf(context, container.spec);
    if (!networks.some((known) => known.network.id === network.id)) {
      throw new TiffinError(
        "permission-denied",
        `container ${id} is not connected to network ${network.name}`,
      );
    }
    const left = networks.filter((known) => known.network.id !== network.id);
    const requests = left.map(({ request }) => ({
      ...request,
      network: networkName(request.network),
    }));
    context.containers.setSpec(id, { ...container.spec, networks: requests }, "settled");
    faultPoint("network:disconnecting");
    if (isRunning(container)) leaveLive(context, container, network.id);
    writeNameFiles(context, context.containers.find(id));
    emitNetworkEvent(context, network, "disconnect", { container: id });
  });
}

function findContainer(
  context: EngineContext,
  { container, force }: { container: string; force: boolean },
): StoredContainer | undefined {
  try {
    return context.containers.find(container);
  } catch (error) {
    if (force && isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}

/** Takes a running container out of a network that it is in. Nothing to do is fine. */
export function leaveLive(
  context: EngineContext,
  container: StoredContainer,
  networkId: string,
): void {
  const { id } = container;
  const { networks } = context;
  const before = networks.attachments.get(id);
  const endpoint = before?.endpoints.find((one) => one.networkId === networkId);
  if (!before || !endpoint) return;
  let rest = before.endpoints.filter((one) => one !== endpoint);
  removeShaper(context, endpoint);
  if (endpoint.hostInterface === "")
    changeInside(context, id, [deleteLink(endpoint.interfaceIndex)]);
  else networks.host.deleteLink(endpoint.hostIndex);
  if (endpoint.isDefault) {
    networks.lead(id);
    const next = nextWay(rest);
    rest = rest.map((one) => (one === next ? { ...one, isDefault: true } : one));
    if (next) {
      changeInside(context, id, defaultRoutes(next));
      networks.lead(id, { endpoint: next, ports: before.ports });
    }
  }
  const isOut = endpoint.isDefault && !nextWay(rest);
  const attachment = { endpoints: rest, ports: isOut ? [] : before.ports };
  writeAttachment(context.places, id, attachment);
  networks.attachments.set(id, attachment);
  freeEndpoint(context, endpoint);
}

/** Who leads out when the one that did is gone. */
function nextWay(endpoints: readonly Endpoint[]): Endpoint | undefined {
  return endpoints.find(({ gateway4, gateway6 }) => gateway4 !== "" || gateway6 !== "");
}

function defaultRoutes({
  interfaceIndex,
  gateway4,
  gateway6,
}: Endpoint): ReturnType<typeof newDefaultRoute>[] {
  return [gateway4, gateway6]
    .filter((gateway) => gateway !== "")
    .map((gateway) => newDefaultRoute(interfaceIndex, addressBytes(parseAddress(gateway))));
}
