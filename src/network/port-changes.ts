import { invalidArgument } from "../base/error.ts";
import { ipVersion } from "../base/ip-address.ts";
import type { Protocol, PublishedPort } from "./network.ts";
import type { PortBinding, PortBindings } from "./published-ports.ts";

type Range = readonly [first: number, last: number];

/** Which published ports are to go. null: any port; an address of "": any address. */
export interface PortRemoval {
  /** As the user wrote it. */
  readonly text: string;
  readonly hostIp: string;
  readonly host: Range | null;
  readonly container: Range | null;
  readonly protocol: Protocol;
}

/** A change of a container's published ports: removals come first, so that a port can be led elsewhere in one go. */
export interface PortsChange {
  readonly add: PortBindings;
  readonly remove: readonly PortRemoval[];
}

/** One binding, and the port of the host that it has; 0: none, or not known before the next start. */
interface PlacedBinding {
  /** `80/tcp` */
  readonly port: string;
  readonly binding: PortBinding;
  readonly hostPort: number;
}

const REMOVAL =
  /^(?:(\[[^\]]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(\d{1,5})(?:-(\d{1,5}))?)?(?::(\d{1,5})(?:-(\d{1,5}))?)?(?:\/(tcp|udp|sctp))?$/i;

/** `[IP:]HOST[:CONTAINER][/PROTO]`, with ranges; `:CONTAINER` is wherever that port is published. @throws invalid-argument */
export function parsePortRemoval(text: string): PortRemoval {
  const match = REMOVAL.exec(text);
  const [, ip = "", hostFirst, hostLast, containerFirst, containerLast, protocol = "tcp"] =
    match ?? [];
  const hostIp = ip.replace(/^\[(.*)\]$/, "$1");
  const host = range(hostFirst, hostLast);
  const container = range(containerFirst, containerLast);
  const isNothing = host === null && container === null;
  const isBad = [host, container].some(
    (one) => one !== null && (one[0] > one[1] || one[0] === 0 || one[1] > 65_535),
  );
  if (match === null || isNothing || isBad || (hostIp !== "" && ipVersion(hostIp) === 0)) {
    throw invalidArgument(
      `invalid published port: ${JSON.stringify(text)}`,
      "Name the port of the host: 8080, 127.0.0.1:8080, 53/udp, 9000-9010; or :80, wherever the container's port 80 is published",
    );
  }
  return { text, hostIp, host, container, protocol: protocol.toLowerCase() as Protocol };
}

function range(first: string | undefined, last = first): Range | null {
  return first === undefined ? null : [Number(first), Number(last)];
}

/**
 * The bindings after a change.
 * @param current what the container has on the host now
 * @param absent the error for a removal that nothing answers to
 */
export function changedBindings(
  bindings: PortBindings,
  change: PortsChange,
  current: readonly PublishedPort[],
  absent: (removal: PortRemoval) => Error,
): PortBindings {
  const placed = placeBindings(bindings, current);
  for (const removal of change.remove) {
    if (!placed.some((one) => isMeant(removal, one))) throw absent(removal);
  }
  const left = placed.filter((one) => !change.remove.some((removal) => isMeant(removal, one)));
  const added = Object.entries(change.add).flatMap(([port, list]) =>
    (list.length === 0 ? [ANY] : list).map((binding) => ({ port, binding })),
  );
  return byPort([...left, ...added]);
}

const ANY: PortBinding = { hostIp: "", hostPort: "" };

function byPort(list: readonly Pick<PlacedBinding, "port" | "binding">[]): PortBindings {
  const bindings: Record<string, PortBinding[]> = {};
  for (const { port, binding } of list) (bindings[port] ??= []).push(binding);
  return bindings;
}

function isMeant(removal: PortRemoval, { port, binding, hostPort }: PlacedBinding): boolean {
  const [number, protocol] = port.split("/");
  const isWithin = (value: number, [first, last]: Range): boolean =>
    value >= first && value <= last;
  const { host, container } = removal;
  return (
    protocol === removal.protocol &&
    (removal.hostIp === "" || removal.hostIp === binding.hostIp) &&
    (container === null || isWithin(Number(number), container)) &&
    (host === null ||
      isWithin(hostPort === 0 ? Number(binding.hostPort) : hostPort, host) ||
      binding.hostPort === `${host[0]}-${host[1]}`)
  );
}

/** Which of a container's ports stay because a binding still asks for them, and the bindings that have none yet. */
export function keptPorts(
  bindings: PortBindings,
  current: readonly PublishedPort[],
): { kept: PublishedPort[]; missing: PortBindings } {
  // A start has nothing to keep, and may have a thousand ports.
  const isPlain = current.length === 0 && Object.values(bindings).every(({ length }) => length < 2);
  if (isPlain) return { kept: [], missing: bindings };
  const placed = placeBindings(bindings, current);
  const isKept = new Set(placed.map(({ port, binding, hostPort }) => key(port, binding, hostPort)));
  const kept = current.flatMap(singles).filter((port) => {
    const name = `${port.containerPort}/${port.protocol}`;
    return ["", port.hostIp].some((hostIp) => isKept.has(key(name, { hostIp }, port.hostPort)));
  });
  return { kept, missing: byPort(placed.filter(({ hostPort }) => hostPort === 0)) };
}

function key(port: string, { hostIp }: Pick<PortBinding, "hostIp">, hostPort: number): string {
  return `${port} ${hostIp} ${hostPort}`;
}

function singles(port: PublishedPort): PublishedPort[] {
  return Array.from({ length: port.count }, (_, index) => ({
    ...port,
    hostPort: port.hostPort + index,
    containerPort: port.containerPort + index,
    count: 1,
  }));
}

/** Finds each binding's port among those that a container has; who asks for a number goes before who does not care. */
function placeBindings(bindings: PortBindings, current: readonly PublishedPort[]): PlacedBinding[] {
  const free = new Map<string, PublishedPort[]>();
  for (const port of current.flatMap(singles)) {
    const name = `${port.containerPort}/${port.protocol}`;
    free.set(name, [...(free.get(name) ?? []), port]);
  }
  return Object.entries(bindings).flatMap(([port, list]) => {
    const asked = (list.length === 0 ? [ANY] : list).toSorted((a, b) => choices(a) - choices(b));
    return asked.map((binding): PlacedBinding => {
      const ports = free.get(port) ?? [];
      const found = ports.find((one) => isFor(binding, one));
      if (!found) return { port, binding, hostPort: 0 };
      // Without an address it has the port at those of each family.
      const isTaken = (one: PublishedPort): boolean =>
        one.hostPort === found.hostPort && (binding.hostIp === "" || one.hostIp === found.hostIp);
      free.set(
        port,
        ports.filter((one) => !isTaken(one)),
      );
      return { port, binding, hostPort: found.hostPort };
    });
  });
}

function choices({ hostPort }: PortBinding): number {
  const [first, last] = numbers(hostPort);
  return last - first;
}

function numbers(hostPort: string): Range {
  if (hostPort === "" || hostPort === "0") return [1, 65_535];
  const [first = 0, last = first] = hostPort.split("-").map(Number);
  return [first, last];
}

function isFor({ hostIp, hostPort }: PortBinding, port: PublishedPort): boolean {
  const [first, last] = numbers(hostPort);
  return (
    (hostIp === "" || hostIp === port.hostIp) && port.hostPort >= first && port.hostPort <= last
  );
}
