import { readFileSync } from "node:fs";
import { cpus, hostname, release, totalmem } from "node:os";
import type { HostFacts } from "./engine.ts";

/** What the engine tells of its host. */
export function readHostFacts(cgroups: { version: 1 | 2; layout: string }): HostFacts {
  return {
    kernelVersion: release(),
    operatingSystem: osRelease("PRETTY_NAME") ?? "Linux",
    operatingSystemVersion: osRelease("VERSION_ID") ?? "",
    ipv4Forwarding: isForwarding(),
    architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
    cpus: cpus().length,
    memoryBytes: totalmem(),
    cgroupVersion: cgroups.version,
    cgroupLayout: cgroups.layout,
    hostname: hostname(),
  };
}

/** A line of os-release(5). */
function osRelease(key: string): string | undefined {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const line = new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(readFileSync(path, "utf8"));
      if (line?.[1] !== undefined) return line[1];
    } catch {
      // The other one may be there.
    }
  }
  return undefined;
}

function isForwarding(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() !== "0";
  } catch {
    // A kernel without IPv4.
    return false;
  }
}
