/**
 * A host of the test's own: a network namespace that an engine lives in, and another host on a wire to it. What the test does to
 * this host's firewall concerns nobody else.
 */
import { expect } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EngineFixture, engineObstacle, TIFFIN } from "./engine-fixture.ts";

/** Why there can be no such host here, in words. */
export const testHostObstacle: string | undefined =
  engineObstacle ??
  ["ip", "nft", "nsenter"]
    .filter((program) => Bun.which(program) === null)
    .map((program) => `this needs ${program} (Debian's iproute2, nftables, util-linux)`)[0];

export interface TestHost {
  /** `bin/tiffin` there, for openEngineFixture. */
  readonly tiffin: string;
  /** What to put before a command that is to run there. */
  readonly here: readonly string[];
  /** The same on the other host. */
  readonly there: readonly string[];
  readonly addresses: {
    readonly here: string;
    readonly here6: string;
    readonly there: string;
    readonly there6: string;
  };
  /** Runs nft with these rules. */
  nft(rules: string): void;
  /** The host's tables: `inet tiffin-0123`. */
  tables(): string[];
  /** Names of its interfaces, but for the wire and the loopback. */
  interfaces(): string[];
  close(): void;
}

let made = 0;

/** @param wrap what stands before the engine's own command there */
export function openTestHost(wrap: readonly string[] = []): TestHost {
  made += 1;
  const [host, other] = [
    `tiffin-host-${process.pid}-${made}`,
    `tiffin-other-${process.pid}-${made}`,
  ];
  const addresses = {
    here: "198.18.0.1",
    here6: "2001:db8:18::1",
    there: "198.18.0.2",
    there6: "2001:db8:18::2",
  };
  for (const name of [host, other]) ip("netns", "add", name);
  ip("-n", host, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", other);
  for (const [name, v4, v6] of [
    [host, addresses.here, addresses.here6],
    [other, addresses.there, addresses.there6],
  ] as const) {
    ip("-n", name, "address", "add", `${v4}/24`, "dev", "wire");
    ip("-n", name, "address", "add", `${v6}/64`, "dev", "wire", "nodad");
    ip("-n", name, "link", "set", "lo", "up");
    ip("-n", name, "link", "set", "wire", "up");
  }
  // A new namespace begins with the machine's own settings.
  ip("netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=0");
  ip("-n", other, "route", "add", "default", "via", addresses.here);
  ip("-n", other, "-6", "route", "add", "default", "via", addresses.here6);
  const directory = mkdtempSync(join(tmpdir(), "tiffin-host."));
  const tiffin = join(directory, "tiffin");
  const here = ["nsenter", `--net=/run/netns/${host}`];
  writeFileSync(tiffin, `#!/bin/sh\nexec ${[...here, ...wrap, TIFFIN].join(" ")} "$@"\n`);
  chmodSync(tiffin, 0o755);
  const output = (...words: string[]): string =>
    Bun.spawnSync([...here, ...words]).stdout.toString();
  return {
    tiffin,
    here,
    there: ["nsenter", `--net=/run/netns/${other}`],
    addresses,
    nft: (rules) => {
      const ran = Bun.spawnSync([...here, "nft", "-f", "-"], { stdin: Buffer.from(rules) });
      expect(ran.stderr.toString()).toBe("");
    },
    tables: () =>
      output("nft", "list", "tables")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.replace("table ", "")),
    interfaces: () =>
      output("ip", "-o", "link")
        .split("\n")
        .map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "")
        .filter((name) => !["", "lo", "wire"].includes(name)),
    close: () => {
      for (const name of [host, other]) ip("netns", "delete", name);
      rmSync(directory, { recursive: true });
    },
  };
}

function ip(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  expect({ args, exitCode, stderr: stderr.toString() }).toEqual({ args, exitCode: 0, stderr: "" });
}

/** Ends both, whatever was found: nothing of the engine's may be left on its host. */
export async function closeTestHost(host: TestHost, engine: EngineFixture): Promise<void> {
  try {
    await engine.close();
    expect({ tables: host.tables(), interfaces: host.interfaces() }).toEqual({
      tables: [],
      interfaces: [],
    });
  } finally {
    host.close();
  }
}
