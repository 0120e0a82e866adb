import { TiffinError } from "../base/error.ts";
import type { Endpoint, PublishedPort } from "./network.ts";
import { ANY_ADDRESS } from "./port-elements.ts";
import { forwardTcp } from "./tcp-forwarder.ts";
import { forwardUdp } from "./udp-forwarder.ts";

/** Listeners for one container: a large range of ports is not worth a descriptor each. */
const MOST_AT_LOOPBACK = 64;
const MOST_EVERYWHERE = 1024;
const LOOPBACK = "::1";

/** Where a forwarder passes on what it takes. */
export interface ForwardTarget {
  /** Addresses to try, one after the other. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Takes what comes for a port until it is closed; connections that are there go on. */
export interface Listener {
  close(): void;
}

interface Asked {
  readonly endpoint: Pick<Endpoint, "ipv4" | "ipv6">;
  readonly ports: readonly PublishedPort[];
  /** `loopback`: the kernel leads all other addresses to the container by itself, but routes nothing that comes from ::1. */
  readonly where: "loopback" | "everywhere";
}

interface Place {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Takes what comes for published ports where the kernel does not lead it to the container, and passes it on. It lives as long as the
 * engine; the next one begins again.
 */
export class PortForwarder {
  /** Of each owner, by what they take and where that goes. */
  private readonly listeners = new Map<string, Map<string, Listener>>();

  /** Makes an owner's listeners those of its ports; the ones that stay are not touched. */
  open(owner: string, { endpoint, ports, where }: Asked): void {
    const addresses = [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== "");
    const places = where === "loopback" ? atLoopback(ports) : everywhere(ports);
    const known = this.listeners.get(owner) ?? new Map<string, Listener>();
    const wanted = new Map(
      places.map((place) => [
        [place.protocol, place.host, place.from, place.to, ...addresses].join(" "),
        place,
      ]),
    );
    for (const [name, listener] of known) {
      if (!wanted.has(name)) listener.close();
    }
    const listeners = [...wanted].map(
      ([name, place]) => [name, known.get(name) ?? listen(place, addresses)] as const,
    );
    if (listeners.length > 0) this.listeners.set(owner, new Map(listeners));
    else this.listeners.delete(owner);
  }

  close(owner: string): void {
    for (const listener of this.listeners.get(owner)?.values() ?? []) listener.close();
    this.listeners.delete(owner);
  }

  closeAll(): void {
    for (const owner of this.listeners.keys()) this.close(owner);
  }
}

/** @throws not-implemented, resource-exhausted: the engine cannot pass on all of these ports */
export function refuseUnforwardable(ports: readonly PublishedPort[]): void {
  const sctp = ports.find(({ protocol }) => protocol === "sctp");
  if (sctp) {
    throw new TiffinError(
      "not-implemented",
      `Cannot publish port ${sctp.containerPort}/sctp: without nf_tables the engine passes on TCP and UDP alone`,
    );
  }
  const count = ports.reduce((sum, port) => sum + port.count, 0);
  if (count > MOST_EVERYWHERE) {
    throw new TiffinError(
      "resource-exhausted",
      `Cannot publish ${count} ports of one container: without nf_tables the engine passes on ${MOST_EVERYWHERE} at most (one at IPv4 and IPv6 is two)`,
    );
  }
}

function atLoopback(ports: readonly PublishedPort[]): Place[] {
  return ports
    .filter(({ protocol, hostIp }) => protocol === "tcp" && isLoopback(hostIp))
    .flatMap((port) => singles(port, MOST_AT_LOOPBACK))
    .slice(0, MOST_AT_LOOPBACK)
    .map((place) => ({ ...place, host: LOOPBACK }));
}

function everywhere(ports: readonly PublishedPort[]): Place[] {
  return ports.flatMap((port) => singles(port, MOST_EVERYWHERE));
}

function singles(port: PublishedPort, most: number): Place[] {
  const { protocol, hostIp: host, hostPort, containerPort, count } = port;
  if (protocol === "sctp") return [];
  return Array.from({ length: Math.min(count, most) }, (_, index) => ({
    protocol,
    host,
    from: hostPort + index,
    to: containerPort + index,
  }));
}

function isLoopback(hostIp: string): boolean {
  return hostIp === ANY_ADDRESS[6] || hostIp === LOOPBACK;
}

function listen({ protocol, host, from, to }: Place, addresses: readonly string[]): Listener {
  const target: ForwardTarget = { addresses, port: to };
  const onError = (error: Error): void =>
    console.error(`tiffin: port ${from}/${protocol} is not to be reached at ${host}:`, error);
  return (protocol === "tcp" ? forwardTcp : forwardUdp)({ host, port: from }, target, onError);
}
