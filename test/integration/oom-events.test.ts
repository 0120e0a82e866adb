/** The kernel's kills for want of memory as events of a container that goes on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: oom events: ${engineObstacle}`);

let engine: EngineFixture;

/** An emulated machine (scripts/test-vm) needs minutes. */
const TIMEOUT_MS = 300_000;
const GREEDY = "dd if=/dev/zero of=/dev/shm/x bs=1M count=60; rm /dev/shm/x";

/** The actions of a container so far that concern its end. */
async function told(name: string): Promise<string[]> {
  const lines = await engine.tiffinOk(
    "events",
    "--since",
    "1h",
    "--until",
    "0s",
    "--filter",
    `container=${name}`,
    "--format",
    "{{.Action}}",
  );
  return lines.split("\n").filter((action) => action === "oom" || action === "die");
}

describe.skipIf(engineObstacle !== undefined)("a container out of memory", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  test(
    "is told of while it goes on, also by the next engine, and not once more at its end",
    async () => {
      await engine.tiffinOk(
        "run",
        "-d",
        "--name",
        "greedy",
        "--memory",
        "20m",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; sleep 100000 & wait",
      );
      expect(await told("greedy")).toEqual([]);
      await engine.tiffin(["exec", "greedy", "sh", "-c", GREEDY]);
      await until("the kill is told", async () => (await told("greedy")).includes("oom"));
      expect(await engine.tiffinOk("inspect", "-f", "{{.State.Status}}", "greedy")).toBe("running");

      await engine.killEngine();
      await engine.startEngine();
      expect(await told("greedy")).toEqual([]);
      await engine.tiffin(["exec", "greedy", "sh", "-c", GREEDY]);
      await until("the kill is told", async () => (await told("greedy")).includes("oom"));
      const before = await told("greedy");
      await engine.tiffinOk("stop", "greedy");
      expect(await told("greedy")).toEqual([...before, "die"]);
      await engine.tiffinOk("rm", "greedy");
    },
    TIMEOUT_MS,
  );

  test(
    "that its kill ends is told of before its end",
    async () => {
      const script = ["sh", "-c", "exec dd if=/dev/zero of=/dev/shm/x bs=1M count=60"];
      const ran = await engine.tiffin([
        "run",
        "--name",
        "gone",
        "--memory",
        "20m",
        "busybox",
        ...script,
      ]);
      expect(ran.status).toBe(137);
      expect(await told("gone")).toEqual(["oom", "die"]);
      await engine.tiffinOk("rm", "gone");
    },
    TIMEOUT_MS,
  );
});
