import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import { O } from "../kernel/flags.ts";
import { AF } from "../kernel/namespace-socket.ts";
import { listeningPorts } from "../kernel/socket-diag.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import { readSetting } from "./host-network.ts";
import type { Protocol } from "./network.ts";
import { type PortCandidate, portTaken } from "./published-ports.ts";
import { addressBytes, parseAddress } from "./subnet.ts";

const SOCKET: Readonly<Record<Protocol, readonly [type: number, protocol: number]>> = {
  tcp: [1, 6],
  udp: [2, 17],
  sctp: [1, 132],
};
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** So few are asked of the kernel one by one. */
const MOST_TRIED = 8;

/**
 * Whether programs of the host have ports, for who asks about one after the other within a moment. Where many are asked about, the
 * kernel is asked for all that have listeners once, and only those are tried.
 */
export class HostPorts {
  private readonly usable = new Set<string>();
  private readonly listening = new Map<Protocol, ReadonlySet<number> | undefined>();
  private tried = 0;

  /** undefined: it is free. */
  obstacle(candidate: PortCandidate): TiffinError | undefined {
    const { protocol, hostIps, hostPort } = candidate;
    const isKnown = hostIps.every((hostIp) => this.usable.has(hostIp));
    if (isKnown && this.tried >= MOST_TRIED && this.listeners(protocol)?.has(hostPort) === false)
      return undefined;
    this.tried += 1;
    const found = hostObstacle(candidate);
    if (!found) for (const hostIp of hostIps) this.usable.add(hostIp);
    return found;
  }

  private listeners(protocol: Protocol): ReadonlySet<number> | undefined {
    if (!this.listening.has(protocol)) this.listening.set(protocol, listeners(protocol));
    return this.listening.get(protocol);
  }
}

function listeners(protocol: Protocol): ReadonlySet<number> | undefined {
  try {
    return protocol === "sctp" ? undefined : listeningPorts(SOCKET[protocol][1]);
  } catch {
    // The kernel has no such list: each port is tried.
    return undefined;
  }
}

/** Found by binding to it for a moment. */
function hostObstacle(candidate: PortCandidate): TiffinError | undefined {
  const { protocol, hostIps, hostPort } = candidate;
  for (const hostIp of hostIps) {
    const result = tryBind(protocol, hostIp, hostPort);
    if (result === -ERRNO.EADDRINUSE) {
      return portTaken(hostIp, hostPort, holder(protocol, hostPort));
    }
    if (result === -ERRNO.EADDRNOTAVAIL) {
      return new TiffinError(
        "invalid-argument",
        `failed to bind host port for ${hostIp}:${hostPort}: cannot assign requested address`,
        { hint: `${hostIp} is no address of this host (ip address)` },
      );
    }
  }
  return undefined;
}

/** 0, or the negative errno. What the host does not speak (sctp) nobody on it has. */
function tryBind(protocol: Protocol, hostIp: string, hostPort: number): number {
  const address = parseAddress(hostIp);
  const isV4 = address.version === 4;
  const [type, number] = SOCKET[protocol];
  const family = isV4 ? AF.INET : AF.INET6;
  const socket = syscallRaw("socket", family, type | O.CLOEXEC, number);
  if (socket < 0) return 0;
  try {
    const one = Uint8Array.of(1, 0, 0, 0);
    // Connections that have ended do not hold it.
    if (protocol === "tcp") syscallRaw("setsockopt", socket, SOL_SOCKET, SO_REUSEADDR, one, 4);
    if (!isV4) syscallRaw("setsockopt", socket, IPPROTO_IPV6, IPV6_V6ONLY, one, 4);
    const bytes = Buffer.alloc(isV4 ? 16 : 28);
    bytes.writeUInt16LE(family, 0);
    bytes.writeUInt16BE(hostPort, 2);
    bytes.set(addressBytes(address), isV4 ? 4 : 8);
    return syscallRaw("bind", socket, bytes, bytes.length);
  } finally {
    syscallRaw("close", socket);
  }
}

/** Who has a port of the host: `process 812 (nginx)`. undefined: nobody. */
export function hostListener(protocol: Protocol, port: number): string | undefined {
  const isHeld = ["", "6"].some((suffix) => socketInode(`${protocol}${suffix}`, port));
  return isHeld ? holder(protocol, port) : undefined;
}

/** `process 812 (nginx)`, as far as it can be found. */
function holder(protocol: Protocol, port: number): string {
  const inode = ["", "6"].map((suffix) => socketInode(`${protocol}${suffix}`, port)).find(Boolean);
  if (inode !== undefined) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (hasDescriptor(pid, `socket:[${inode}]`)) return `process ${pid} (${nameOf(pid)})`;
    }
  }
  return "a program of the host";
}

/** Of the line in /proc/net/tcp and the like whose local port it is. */
function socketInode(table: string, port: number): string | undefined {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  try {
    for (const line of readFileSync(`/proc/net/${table}`, "utf8").split("\n")) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(wanted) === true && fields[9] !== "0") return fields[9];
    }
  } catch {
    // A kernel without the protocol.
  }
  return undefined;
}

function hasDescriptor(pid: string, target: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => link(`/proc/${pid}/fd/${fd}`) === target);
  } catch {
    return false;
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "?";
  }
}

/** The host's range of ports for who does not care, from a place in it that moves on with each call. */
export function* ephemeralPorts(): Iterable<number> {
  const [low = 32_768, high = 60_999] = (readSetting("ipv4/ip_local_port_range") ?? "")
    .split(/\s+/)
    .filter((word) => word !== "")
    .map(Number);
  const count = high - low + 1;
  for (let index = 0; index < count; index++) {
    nextEphemeral = (nextEphemeral + 1) % count;
    yield low + nextEphemeral;
  }
}

let nextEphemeral = Math.floor(Math.random() * 10_000);
