import { invalidArgument, TiffinError } from "../base/error.ts";
import { ipVersion } from "../base/ip-address.ts";
import type { Protocol, PublishedPort } from "./network.ts";
import { ANY_ADDRESS } from "./port-elements.ts";

/** One `-p`, as the API has it: where on the host; "" is any address, any port. */
export interface PortBinding {
  readonly hostIp: string;
  /** `8080`, `8000-8010` (a free one of these), or "". */
  readonly hostPort: string;
}

/** By container port: `80/tcp`. */
export type PortBindings = Readonly<Record<string, readonly PortBinding[]>>;

/** A port of the host that one is looked for. */
export interface PortCandidate {
  readonly protocol: Protocol;
  readonly hostIps: readonly string[];
  readonly hostPort: number;
}

export interface PortChoice {
  /** Why it cannot be had, or undefined: it is free. @param hostPort in the candidate's range */
  readonly obstacle: (candidate: PortCandidate) => TiffinError | undefined;
  /** Ports for who does not care which, in the order of trying. */
  readonly anyPorts: () => Iterable<number>;
  /** Addresses for who does not care which: of the families that the container has. */
  readonly anyAddresses: readonly string[];
}

export function parsePort(text: string): { port: number; protocol: Protocol } {
  const match = /^(\d{1,5})\/(tcp|udp|sctp)$/.exec(text);
  const port = Number(match?.[1]);
  if (match === null || port > 65_535 || port === 0) {
    throw invalidArgument(`invalid port specification: ${JSON.stringify(text)}`);
  }
  return { port, protocol: match[2] as Protocol };
}

/** `80-82/tcp` as `80/tcp` and so on. */
export function singlePorts(text: string): string[] {
  const [range = "", protocol = "tcp"] = text.split("/");
  const [first = 0, last = first] = range.split("-").map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

/** @throws invalid-argument */
export function validateBindings(bindings: PortBindings): void {
  for (const [port, list] of Object.entries(bindings)) {
    parsePort(port);
    for (const { hostIp, hostPort } of list) {
      if (hostIp !== "" && ipVersion(hostIp) === 0)
        throw invalidArgument(`invalid IP address: ${hostIp}`);
      hostRange(hostPort);
    }
  }
}

/** null: any. */
function hostRange(text: string): [number, number] | null {
  if (text === "" || text === "0") return null;
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null || last > 65_535 || last < first) {
    throw invalidArgument(`invalid hostPort: ${text}`);
  }
  return [first, last];
}

/**
 * Settles on the host's ports: each as it was asked for, or a free one. Neighbours that are alike become one range.
 * @param kept ports that the container has beside them, one by one
 * @throws the first obstacle
 */
export function choosePorts(
  bindings: PortBindings,
  choice: PortChoice,
  kept: readonly PublishedPort[] = [],
): PublishedPort[] {
  const chosen = [...kept];
  const taken = new TakenPorts();
  for (const { protocol, hostIp, hostPort } of kept) taken.add(protocol, hostIp, hostPort);
  for (const { port, protocol, list } of sorted(bindings)) {
    for (const binding of list.length === 0 ? [{ hostIp: "", hostPort: "" }] : list) {
      const hostIps = binding.hostIp === "" ? choice.anyAddresses : [binding.hostIp];
      const hostPort = chooseOne(binding, { protocol, hostIps, taken }, choice);
      for (const hostIp of hostIps) {
        taken.add(protocol, hostIp, hostPort);
        chosen.push({ protocol, hostIp, hostPort, containerPort: port, count: 1 });
      }
    }
  }
  if (kept.length > 0) chosen.sort((one, other) => one.containerPort - other.containerPort);
  return joinRanges(chosen);
}

/** Ports of the host that the container has or gets. */
class TakenPorts {
  private readonly byPlace = new Map<string, Set<number>>();

  add(protocol: Protocol, hostIp: string, hostPort: number): void {
    const place = `${protocol} ${hostIp}`;
    const known = this.byPlace.get(place);
    if (known) known.add(hostPort);
    else this.byPlace.set(place, new Set([hostPort]));
  }

  has(protocol: Protocol, hostIp: string, hostPort: number): boolean {
    return this.byPlace.get(`${protocol} ${hostIp}`)?.has(hostPort) ?? false;
  }
}

interface ParsedBinding {
  readonly port: number;
  readonly protocol: Protocol;
  readonly list: readonly PortBinding[];
}

/** By the container's port. */
function sorted(bindings: PortBindings): ParsedBinding[] {
  return Object.entries(bindings)
    .map(([text, list]): ParsedBinding => ({ ...parsePort(text), list }))
    .sort((one, other) => one.port - other.port);
}

function chooseOne(
  binding: PortBinding,
  wanted: { protocol: Protocol; hostIps: readonly string[]; taken: TakenPorts },
  choice: PortChoice,
): number {
  const range = hostRange(binding.hostPort);
  const [first, last] = range ?? [0, 0];
  const candidates =
    range === null
      ? choice.anyPorts()
      : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  let obstacle: TiffinError | undefined;
  for (const hostPort of candidates) {
    const { protocol, hostIps, taken } = wanted;
    if (hostIps.some((hostIp) => taken.has(protocol, hostIp, hostPort))) {
      obstacle ??= portTaken(hostIps[0] ?? "", hostPort, "this container itself");
      continue;
    }
    const found = choice.obstacle({ protocol, hostIps, hostPort });
    if (!found) return hostPort;
    obstacle ??= found;
  }
  throw (
    obstacle ??
    new TiffinError("resource-exhausted", "all ports are allocated", {
      hint: "Remove containers that publish ports, or choose the ports (-p HOST:CONTAINER)",
    })
  );
}

/** docker's words, and who has it. */
export function portTaken(hostIp: string, hostPort: number, owner: string): TiffinError {
  const address = hostIp.includes(":") ? `[${hostIp}]` : hostIp;
  return new TiffinError(
    "conflict",
    `Bind for ${address}:${hostPort} failed: port is already allocated by ${owner}`,
    { hint: `Choose another port of the host (-p ${hostPort + 1}:…), or end ${owner}` },
  );
}

/** @param ports in the order of the container's ports */
function joinRanges(ports: readonly PublishedPort[]): PublishedPort[] {
  const ranges: { -readonly [Field in keyof PublishedPort]: PublishedPort[Field] }[] = [];
  const lastOf = new Map<string, (typeof ranges)[number]>();
  for (const port of ports) {
    const { protocol, hostIp, hostPort, containerPort } = port;
    const key = `${protocol} ${hostIp} ${hostPort - containerPort}`;
    const before = lastOf.get(key);
    if (before && hostPort === before.hostPort + before.count) {
      before.count += 1;
      continue;
    }
    const range = { ...port };
    lastOf.set(key, range);
    ranges.push(range);
  }
  return ranges;
}

/** Whether a port of the host would lead to two places. */
export function portsClash(
  port: PublishedPort,
  { protocol, hostIps, hostPort }: PortCandidate,
): boolean {
  return (
    port.protocol === protocol &&
    hostPort >= port.hostPort &&
    hostPort < port.hostPort + port.count &&
    hostIps.some((hostIp) => addressesClash(port.hostIp, hostIp))
  );
}

function addressesClash(one: string, other: string): boolean {
  if (ipVersion(one) !== ipVersion(other)) return false;
  const any = ANY_ADDRESS[ipVersion(one) === 4 ? 4 : 6];
  return one === other || one === any || other === any;
}
