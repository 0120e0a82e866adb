/** A dockerd of our own, beside any that the machine runs: without a bridge and firewall rules, in a temporary directory. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../integration/engine-fixture.ts";

/** Why there is none, in words, or undefined. */
export const dockerdObstacle: string | undefined =
  process.getuid?.() !== 0
    ? "dockerd needs root"
    : Bun.which("dockerd") === null || Bun.which("containerd") === null
      ? "this compares with dockerd (Debian's docker.io)"
      : undefined;

export interface Dockerd {
  readonly host: string;
  close(): Promise<void>;
}

/** Starts it. @throws when it does not answer in time, with the end of its log */
export async function openDockerd(): Promise<Dockerd> {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-dockerd."));
  const host = `unix://${join(directory, "docker.sock")}`;
  const group = `tiffin-conformance.${process.pid}`;
  const log = join(directory, "log");
  const words = [
    ["--host", host],
    ["--data-root", join(directory, "data")],
    ["--exec-root", join(directory, "exec")],
    ["--pidfile", join(directory, "pid")],
    ["--cgroup-parent", `/${group}`],
    ["--iptables=false", "--bridge=none"],
  ].flat();
  const child = spawn("dockerd", words, {
    stdio: ["ignore", "ignore", openSync(log, "a")],
    detached: true,
  });
  let isOver = false;
  child.once("exit", () => {
    isOver = true;
  });
  await until("dockerd answers", async () => {
    if (isOver) throw new Error(`dockerd ended: ${readFileSync(log, "utf8").slice(-2000)}`);
    return Bun.spawnSync(["docker", "-H", host, "version"]).exitCode === 0;
  });
  return {
    host,
    close: async () => {
      await ended(child);
      removeGroups(group);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exit;
}

/** The parents of its containers' cgroups, which it leaves: one in each hierarchy. */
function removeGroups(group: string): void {
  for (const hierarchy of readdirSync("/sys/fs/cgroup")) {
    try {
      rmdirSync(join("/sys/fs/cgroup", hierarchy, group));
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (!["ENOENT", "ENOTDIR"].includes(code)) throw error;
    }
  }
}
