/** --log-driver and --log-opt: which there are, what they keep, and docker's refusals. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: log drivers: ${engineObstacle}`);
const clients: readonly ("docker" | "tiffin")[] =
  Bun.which("docker") === null ? ["tiffin"] : ["docker", "tiffin"];

let engine: EngineFixture;

describe.skipIf(engineObstacle !== undefined)("log drivers", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => await engine.removeContainers());
  afterAll(async () => await engine.close());

  const logged = (...options: string[]): Promise<string> =>
    engine.tiffinOk(
      "run",
      "--name",
      "logged",
      ...options,
      "busybox",
      "sh",
      "-c",
      "echo one; echo two >&2",
    );

  test.each(["json-file", "local"])("%s is a log on disk that can be read", async (driver) => {
    await logged("--log-driver", driver, "--log-opt", "max-size=1m", "--log-opt", "max-file=2");
    for (const client of clients) {
      const { stdout, stderr } = await engine[client](["logs", "logged"]);
      expect([client, stdout, stderr]).toEqual([client, "one\n", "two\n"]);
    }
    const shown = await engine.tiffinOk(
      "inspect",
      "-f",
      "{{json .HostConfig.LogConfig}}",
      "logged",
    );
    expect(JSON.parse(shown)).toEqual({
      Type: driver,
      Config: { "max-size": "1m", "max-file": "2" },
    });
  });

  test("max-size and max-file bound what is kept", async () => {
    // Rotated after what was read at once: up to a pipe's 64 KiB more than asked.
    const many = "yes 0123456789012345678901234567890123456789 | head -n 20000";
    const options = [
      "--log-driver",
      "json-file",
      "--log-opt",
      "max-size=100k",
      "--log-opt",
      "max-file=2",
    ];
    const files = ["--log-opt", "compress=false"];
    await engine.tiffinOk(
      "run",
      "--name",
      "much",
      ...options,
      ...files,
      "busybox",
      "sh",
      "-c",
      many,
    );
    const path = await engine.tiffinOk("inspect", "-f", "{{.LogPath}}", "much");
    expect(readdirSync(dirname(path))).toHaveLength(2);
    const lines = (await engine.tiffinOk("logs", "much")).split("\n").length;
    expect(lines).toBeLessThan(8000);
    expect(lines).toBeGreaterThan(500);
  });

  test("none keeps nothing: logs says so in docker's words, attach still shows what comes", async () => {
    expect(await logged("--log-driver", "none")).toBe("one");
    for (const client of clients) {
      const { status, stderr } = await engine[client](["logs", "logged"]);
      expect([client, status]).toEqual([client, 1]);
      expect(stderr).toContain("configured logging driver does not support reading");
    }
    expect(await engine.tiffinOk("inspect", "-f", "{{.LogPath}}", "logged")).toBe("");
  });

  test("logs --details shows the labels, variables and the tag that were asked for", async () => {
    const asked = ["labels=tier", "env=MODE", "tag={{.Name}} & more"].flatMap((one) => [
      "--log-opt",
      one,
    ]);
    await logged("--label", "tier=a b", "--label", "other=1", "-e", "MODE=x/y", ...asked);
    for (const client of clients) {
      const { stdout, stderr } = await engine[client](["logs", "--details", "logged"]);
      const attributes = "MODE=x%2Fy,tag=logged+%26+more,tier=a+b";
      expect([client, stdout, stderr]).toEqual([
        client,
        `${attributes} one\n`,
        `${attributes} two\n`,
      ]);
    }
    expect(await engine.tiffinOk("logs", "--details", "-n", "1", "logged")).toBe("");
  });

  test("what docker refuses is refused in its words, and nothing is made", async () => {
    const refused: [string[], string][] = [
      [["--log-driver", "syslogs"], "logger: no log driver named 'syslogs' is registered"],
      [
        ["--log-opt", "fruit=plum", "--log-driver", "json-file"],
        "unknown log opt 'fruit' for json-file log driver",
      ],
      [
        ["--log-opt", "labels=a", "--log-driver", "local"],
        "unknown log opt 'labels' for log driver local",
      ],
      [["--log-opt", "max-file=0"], "max-file cannot be less than 1"],
      [["--log-opt", "max-size=x"], "invalid size: 'x'"],
      [["--log-opt", "mode=odd"], "logger: logging mode not supported: odd"],
      [["--log-opt", "a=b", "--log-driver", "none"], "invalid logging opts for driver none"],
    ];
    for (const [options, reason] of refused) {
      for (const client of clients) {
        const { status, stderr } = await engine[client](["create", ...options, "busybox", "true"]);
        expect([client, options, stderr]).toEqual([
          client,
          options,
          expect.stringContaining(reason),
        ]);
        expect(status).not.toBe(0);
      }
    }
    expect(await engine.tiffinOk("ps", "-aq")).toBe("");
  });
});
