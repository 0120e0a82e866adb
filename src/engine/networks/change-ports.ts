import { invalidArgument, TiffinError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault-point.ts";
import { setBridgePort } from "../../kernel/rtnetlink.ts";
import { ephemeralPorts } from "../../network/host-port.ts";
import type { Attachment, Endpoint, Network } from "../../network/network.ts";
import { changedBindings, type PortRemoval, type PortsChange } from "../../network/port-changes.ts";
import { ANY_ADDRESS } from "../../network/port-elements.ts";
import { choosePorts, type PortBindings, validateBindings } from "../../network/published-ports.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import type { ContainerSpec } from "../types.ts";
import { writeAttachment } from "./attachment-file.ts";
import { hasOwnNetworks } from "./container-networks.ts";
import { needsHairpin } from "./join-networks.ts";
import { portsFor, wantedBindings } from "./publish.ts";

type PortsSpec = Pick<ContainerSpec, "portBindings" | "publishAll">;

/**
 * What a container asks for after a change of its ports. -P stands for the ports that it stands for now.
 * @throws invalid-argument, not-found (a port that is not published), conflict (published twice, no network for it)
 */
export function changedPorts(
  context: EngineContext,
  container: StoredContainer,
  change: PortsChange,
): PortsSpec {
  const { id, spec } = container;
  validateBindings(change.add);
  if (Object.keys(change.add).length > 0) refuseUseless(context, container);
  const current = context.networks.attachments.get(id)?.ports ?? [];
  const absent = (removal: PortRemoval): Error => notPublished(container, removal);
  const portBindings = changedBindings(wantedBindings(spec), change, current, absent);
  refuseTwice(portBindings);
  return { portBindings, publishAll: false };
}

/** A stopped container's ports are taken at its start; two that exclude each other never can be. */
function refuseTwice(bindings: PortBindings): void {
  choosePorts(bindings, {
    anyAddresses: [ANY_ADDRESS[4], ANY_ADDRESS[6]],
    anyPorts: ephemeralPorts,
    obstacle: () => undefined,
  });
}

function refuseUseless(context: EngineContext, container: StoredContainer): void {
  const { name, spec } = container;
  if (!hasOwnNetworks(spec)) {
    throw invalidArgument(
      `Cannot publish ports of container "${name}": it has no network of its own (--network ${spec.networkMode})`,
      spec.networkMode === "host"
        ? "It listens on the host's own ports"
        : "Publish them with who has the network, or make the container anew in a bridge network",
    );
  }
  if (isRunning(container) && !wayOf(context, container)) {
    throw new TiffinError(
      "conflict",
      `Cannot publish ports of container "${name}": none of its networks leads to it from the host`,
      { hint: `tiffin network connect NETWORK ${name} puts it into a bridge network, at once` },
    );
  }
}

function notPublished({ name }: StoredContainer, { text, protocol }: PortRemoval): TiffinError {
  return new TiffinError(
    "not-found",
    `Cannot unpublish port ${text} of container "${name}": it publishes no such port (${protocol})`,
    {
      hint: `tiffin port ${name} lists them; a port that is not tcp is named with its protocol, 53/udp`,
    },
  );
}

/** Where published ports lead: the endpoint that leads out, of a bridge. */
function wayOf(
  { networks }: EngineContext,
  { id }: Pick<StoredContainer, "id">,
): { before: Attachment; endpoint: Endpoint; network: Network } | undefined {
  const before = networks.attachments.get(id);
  const endpoint = before?.endpoints.find(({ isDefault }) => isDefault);
  const network = endpoint && networks.table.withId(endpoint.networkId);
  if (!before || !endpoint || network?.driver !== "bridge") return undefined;
  return { before, endpoint, network };
}

/**
 * Makes a running container's ports those of its spec, at once; those that stay are led all along. On record before the kernel has
 * them.
 * @returns what undoes it
 * @throws conflict: a port is somebody else's, named; nothing has changed then
 */
export function leadPorts(context: EngineContext, container: StoredContainer): () => void {
  const way = wayOf(context, container);
  if (!way) return () => undefined;
  const { id, name, spec } = container;
  const { before, endpoint, network } = way;
  const ports = portsFor(context, { id, spec, current: before.ports }, endpoint, network);
  if (Bun.deepEquals(ports, before.ports)) return () => undefined;
  const make = (attachment: Attachment): void => {
    context.networks.lead(id, { endpoint, ports: attachment.ports });
    context.networks.attachments.set(id, attachment);
  };
  const after = { ...before, ports };
  try {
    writeAttachment(context.places, id, after);
    faultPoint("update:ports-recorded");
    if (needsHairpin(ports) && before.ports.length === 0) {
      const isolated = network.options["com.docker.network.bridge.enable_icc"] === "false";
      const port = setBridgePort(endpoint.hostIndex, { hairpin: true, isolated });
      context.networks.host.change([port], `publish ports of container ${name}`);
    }
    make(after);
  } catch (error) {
    writeAttachment(context.places, id, before);
    throw error;
  }
  return () => {
    writeAttachment(context.places, id, before);
    make(before);
  };
}

/** The same on record alone, for an engine that makes its firewall afterwards. @throws conflict */
export function settlePorts(context: EngineContext, container: StoredContainer): void {
  const way = wayOf(context, container);
  if (!way) return;
  const { id, spec } = container;
  const { before, endpoint, network } = way;
  const ports = portsFor(context, { id, spec, current: before.ports }, endpoint, network);
  const after = { ...before, ports };
  writeAttachment(context.places, id, after);
  context.networks.attachments.set(id, after);
}
