import { readFileSync } from "node:fs";
import { cpus, hostname, release, totalmem } from "node:os";
import type { HostFacts } from "./engine.ts";

/** What the engine tells of its host. */
export function readHostFacts(cgroups: { version: 1 | 2; layout: string }): HostFacts {
  return {
    kernelVersion: release(),
    operatingSystem: operatingSystem(),
    architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
    cpus: cpus().length,
    memoryBytes: totalmem(),
    cgroupVersion: cgroups.version,
    cgroupLayout: cgroups.layout,
    hostname: hostname(),
  };
}

/** PRETTY_NAME of os-release(5). */
function operatingSystem(): string {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync(path, "utf8"))?.[1];
      if (name !== undefined) return name;
    } catch {
      // The other one may be there.
    }
  }
  return "Linux";
}
