import { ephemeralPorts, HostPorts } from "../../network/host-port.ts";
import type { Endpoint, Network, PublishedPort } from "../../network/network.ts";
import { keptPorts } from "../../network/port-changes.ts";
import { refuseUnforwardable } from "../../network/port-forwarder.ts";
import { ANY_ADDRESS } from "../../network/port-elements.ts";
import {
  choosePorts,
  type PortBindings,
  type PortCandidate,
  type PortChoice,
  portsClash,
  portTaken,
  singlePorts,
} from "../../network/published-ports.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec } from "../types.ts";

/**
 * Takes the ports of the host that a container asks for, and leads them to its endpoint.
 * @throws conflict: a port is somebody else's, named; nothing is taken then
 */
export function publish(
  context: EngineContext,
  { id, spec }: { readonly id: string; readonly spec: ContainerSpec },
  endpoint: Endpoint,
  network: Network,
): PublishedPort[] {
  const ports = portsFor(context, { id, spec, current: [] }, endpoint, network);
  if (ports.length > 0) context.networks.lead(id, { endpoint, ports });
  return ports;
}

/**
 * The ports of the host for what a container asks for: those of `current` that it still asks for, and others for the rest.
 * @throws conflict: a port is somebody else's, named
 */
export function portsFor(
  context: EngineContext,
  container: {
    readonly id: string;
    readonly spec: ContainerSpec;
    readonly current: readonly PublishedPort[];
  },
  endpoint: Endpoint,
  network: Network,
): PublishedPort[] {
  if (network.driver !== "bridge") return [];
  const { id, spec, current } = container;
  const { kept, missing } = keptPorts(wantedBindings(spec), current);
  const host = new HostPorts();
  const choice: PortChoice = {
    anyAddresses: anyAddresses(endpoint, network),
    anyPorts: ephemeralPorts,
    obstacle: (candidate) =>
      containerObstacle(context, candidate, { id, ports: kept }) ??
      host.obstacle(withoutOwn(candidate, current)),
  };
  const ports = choosePorts(missing, choice, kept);
  if (context.networks.firewall.inForce === "none") refuseUnforwardable(ports);
  return ports;
}

/** At an address where the container has the port already, the engine itself may listen for it (at ::1). */
function withoutOwn(candidate: PortCandidate, current: readonly PublishedPort[]): PortCandidate {
  const { hostIps, protocol, hostPort } = candidate;
  const isOwn = (hostIp: string): boolean =>
    current.some(
      (port) =>
        port.hostIp === hostIp && portsClash(port, { protocol, hostPort, hostIps: [hostIp] }),
    );
  return { ...candidate, hostIps: hostIps.filter((hostIp) => !isOwn(hostIp)) };
}

/** Where a port is to be reached that was published without an address. */
function anyAddresses(endpoint: Endpoint, network: Network): string[] {
  const binding = network.options["com.docker.network.bridge.host_binding_ipv4"] ?? "";
  if (binding !== "") return [binding];
  return [
    ...(endpoint.ipv4 === "" ? [] : [ANY_ADDRESS[4]]),
    ...(endpoint.ipv6 === "" ? [] : [ANY_ADDRESS[6]]),
  ];
}

/** What -p asks for, and with -P each exposed port that it does not name. */
export function wantedBindings(spec: ContainerSpec): PortBindings {
  if (!spec.publishAll) return spec.portBindings;
  const exposed = spec.exposedPorts
    .flatMap(singlePorts)
    .filter((port) => !Object.hasOwn(spec.portBindings, port));
  return {
    ...spec.portBindings,
    ...Object.fromEntries(exposed.map((port) => [port, [{ hostIp: "", hostPort: "" }]])),
  };
}

function containerObstacle(
  context: EngineContext,
  candidate: PortCandidate,
  own: { readonly id: string; readonly ports: readonly PublishedPort[] },
): ReturnType<typeof portTaken> | undefined {
  for (const [id, attachment] of [...context.networks.attachments, [own.id, own] as const]) {
    if (id === own.id && attachment !== own) continue;
    const { ports } = attachment;
    const port = ports.find((one) => portsClash(one, candidate));
    if (!port) continue;
    const name = context.containers.withId(id)?.name ?? id;
    const { hostIps, hostPort } = candidate;
    return portTaken(hostIps[0] ?? port.hostIp, hostPort, `container "${name}"`);
  }
  return undefined;
}
