import { readFileSync } from "node:fs";
import type { Protocol } from "./network.ts";
import type { Listening } from "./port-trace.ts";

const LISTEN = "0A";

/** Whether anybody listens on a port in the network namespace of a process; sctp cannot be told. */
export function listeningIn(pid: number, protocol: Protocol, port: number): Listening {
  const tables = ["", "6"].map((suffix) => read(`/proc/${pid}/net/${protocol}${suffix}`));
  if (protocol === "sctp" || tables.every((text) => text === undefined)) return "unknown";
  return listeningOf(
    tables.flatMap((text) => (text ?? "").split("\n")),
    protocol,
    port,
  );
}

/** @param lines of /proc/net/tcp, tcp6, udp or udp6 (proc(5)) */
export function listeningOf(
  lines: readonly string[],
  protocol: Protocol,
  port: number,
): Exclude<Listening, "unknown"> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  let found: "no" | "loopback" = "no";
  for (const line of lines) {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const [address = "", number] = local.split(":");
    if (number !== wanted || (protocol === "tcp" && state !== LISTEN)) continue;
    // Addresses are 32-bit numbers of the host's order: 127.0.0.1 ends with 7F, ::1 with 01000000.
    const isLoopback = address.endsWith("7F") || /^0{24}01000000$/.test(address);
    if (!isLoopback) return "yes";
    found = "loopback";
  }
  return found;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended, or the kernel lacks the protocol.
    return undefined;
  }
}
