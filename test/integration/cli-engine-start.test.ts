/** Commands that find no engine start one, and only one; what goes wrong is shown. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TIFFIN = join(import.meta.dir, "../../bin/tiffin");
const TIMEOUT_MS = 60_000;

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-cli-"));
});

afterEach(async () => {
  const pid = enginePid();
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    while (isAlive(pid)) await Bun.sleep(20);
  }
  rmSync(directory, { recursive: true, force: true });
});

function enginePid(): number | undefined {
  try {
    return Number(readFileSync(join(directory, "run/engine.pid"), "utf8"));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function tiffin(
  ...words: string[]
): Promise<{ status: number | null; out: string; error: string }> {
  const places = { TIFFIN_ROOT: join(directory, "root"), TIFFIN_RUN: join(directory, "run") };
  const child = spawn(TIFFIN, words, { env: { ...process.env, ...places, TIFFIN_HOST: "" } });
  let out = "";
  let error = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    error += chunk.toString();
  });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, out, error })));
}

/** Processes whose command line runs an engine at these places. */
function engines(): number {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return words.includes("engine") && words.includes(join(directory, "run"));
    } catch {
      return false;
    }
  }).length;
}

test(
  "ten commands at once start one engine, and all are answered",
  async () => {
    const results = await Promise.all(Array.from({ length: 10 }, () => tiffin("ps", "--quiet")));
    expect(results).toEqual(Array.from({ length: 10 }, () => ({ status: 0, out: "", error: "" })));
    expect(engines()).toBe(1);
  },
  TIMEOUT_MS,
);

test(
  "an engine that was killed, and one that is on its way out, make room for the next",
  async () => {
    await tiffin("ps");
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const before = enginePid() as number;
      process.kill(before, signal);
      expect(await tiffin("ps", "--quiet")).toEqual({ status: 0, out: "", error: "" });
      expect(engines()).toBe(1);
    }
  },
  TIMEOUT_MS,
);

test(
  "an engine that cannot start is told with the end of its log",
  async () => {
    writeFileSync(join(directory, "root"), "a file where the state should be");
    const { status, error } = await tiffin("ps");
    expect(status).toBe(1);
    expect(error).toStartWith(
      `tiffin: Cannot start the engine at ${join(directory, "run/tiffin.sock")}`,
    );
    expect(error).toContain("tiffin engine:");
    expect(error).toContain('hint: Run "tiffin engine"');
  },
  TIMEOUT_MS,
);
