import { ephemeralPorts, hostObstacle } from "../../network/host-port.ts";
import type { Endpoint, Network, PublishedPort } from "../../network/network.ts";
import { ANY_ADDRESS } from "../../network/port-elements.ts";
import {
  choosePorts,
  type PortBindings,
  type PortCandidate,
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
  const bindings = wantedBindings(spec);
  if (network.driver !== "bridge" || Object.keys(bindings).length === 0) return [];
  const ports = choosePorts(bindings, {
    anyAddresses: anyAddresses(endpoint, network),
    anyPorts: ephemeralPorts,
    obstacle: (candidate) => containerObstacle(context, candidate) ?? hostObstacle(candidate),
  });
  context.networks.lead(id, { endpoint, ports });
  return ports;
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
function wantedBindings(spec: ContainerSpec): PortBindings {
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
): ReturnType<typeof portTaken> | undefined {
  for (const [id, { ports }] of context.networks.attachments) {
    const port = ports.find((one) => portsClash(one, candidate));
    if (!port) continue;
    const name = context.containers.withId(id)?.name ?? id;
    const { hostIps, hostPort } = candidate;
    return portTaken(hostIps[0] ?? port.hostIp, hostPort, `container "${name}"`);
  }
  return undefined;
}
