/** Pulls that break off anywhere: by the connection, by the user, by what another layer is. What was brought is not fetched twice. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture, until } from "./engine-fixture.ts";
import {
  cutAfter,
  type Double,
  openDouble,
  openRegistry,
  type RegistryFixture,
  registryObstacle,
} from "./registry-fixture.ts";
import { putImage } from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;
const LAYER_BYTES = 600_000;
const ROUNDS = 5;

describe.skipIf(obstacle !== undefined)("pulls that break off", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;
  let double: Double;
  let name: string;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    double = openDouble(registry);
    const file = (path: string) =>
      ({ type: "file", path, content: randomBytes(LAYER_BYTES) }) as const;
    const layers = [[file("a"), file("b")], [file("c")], [file("d")]];
    await putImage(registry.host, ["team/cut", "1"], { layers });
    name = `${double.host}/team/cut:1`;
  }, 120_000);

  afterAll(async () => {
    await double?.close();
    await registry?.close();
    await engine?.close();
  });

  beforeEach(() => {
    double.mischief = async () => undefined;
    double.asked.length = 0;
  });

  function blobFiles(): string[] {
    return readdirSync(join(engine.root, "blobs/sha256"));
  }

  /** Bytes on the disk of all that images are made of, and the names of it. */
  function stored(): { files: string[]; kilobytes: string } {
    const places = ["blobs", "layers", "tmp"].map((place) => join(engine.root, place));
    const { stdout } = Bun.spawnSync(["du", "-skc", ...places]);
    return {
      files: places.flatMap((place) => readdirSync(place, { recursive: true }).map(String)),
      kilobytes: /(\d+)\ttotal/.exec(stdout.toString())?.[1] ?? "",
    };
  }

  const isLayer = ({ method, url }: Request, answer: Response): boolean =>
    method === "GET" &&
    url.includes("/blobs/") &&
    Number(answer.headers.get("content-length")) > 2000;

  test("an image comes whole through connections that are cut at any byte", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      double.mischief = async (request, forward) => {
        const answer = await forward();
        if (!isLayer(request, answer) || Math.random() < 0.3) return answer;
        const bytes = Number(answer.headers.get("content-length"));
        return cutAfter(answer, 1 + Math.floor(Math.random() * (bytes - 1)));
      };
      expect(await engine.tiffinOk("pull", name)).toContain("Downloaded newer");
      expect(await engine.tiffinOk("system", "check")).toContain("Everything is where");
      await engine.tiffinOk("rmi", "-f", name);
    }
  }, 120_000);

  test("a pull that is called off at any moment is gone on with, and is listed meanwhile", async () => {
    const whole = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      double.mischief = async (request, forward) => {
        const answer = await forward();
        return isLayer(request, answer) ? slowly(answer) : answer;
      };
      const { process: client } = engine.startClient("tiffin", ["pull", name]);
      const exit = new Promise((resolve) => client.once("exit", resolve));
      await Bun.sleep(Math.random() * 300);
      client.kill("SIGKILL");
      await exit;
      double.mischief = async () => undefined;
      await engine.tiffinOk("pull", name);
      whole.add(blobFiles().toSorted().join());
      await engine.tiffinOk("rmi", "-f", name);
      expect(blobFiles()).toEqual([]);
    }
    expect(whole.size).toBe(1);
  }, 120_000);

  test("layers that came whole before another one failed are not fetched again", async () => {
    let failing = 0;
    double.mischief = async (request, forward) => {
      const answer = await forward();
      if (!isLayer(request, answer)) return answer;
      const isLargest = Number(answer.headers.get("content-length")) > 1.5 * LAYER_BYTES;
      if (!isLargest) return answer;
      failing += 1;
      await until("the two other layers are here", async () => blobFiles().length >= 2);
      return new Response("no", { status: 403 });
    };
    expect((await engine.tiffin(["pull", name])).status).not.toBe(0);
    expect(failing).toBeGreaterThan(0);
    const partials = blobFiles().filter((file) => file.startsWith("partial-"));
    expect(partials.length).toBeGreaterThan(0);
    const listed = await engine.tiffinOk("system", "check");
    expect(listed).toContain("Everything is where it should be");
    for (const file of partials) expect(listed).toContain(file.slice("partial-".length));
    double.mischief = async () => undefined;
    double.asked.length = 0;
    await engine.tiffinOk("pull", name);
    const fetched = double.asked.filter((line) => /GET .*\/blobs\//.test(line));
    expect(fetched.filter((line) => partials.some((file) => line.includes(file.slice(8))))).toEqual(
      [],
    );
    await engine.tiffinOk("rmi", "-f", name);
  });

  test("after image prune the disk is as before the first pull", async () => {
    await engine.tiffinOk("image", "prune", "-af");
    const before = stored();
    await engine.tiffinOk("pull", name);
    const other = { layers: [[{ type: "file", path: "e", content: randomBytes(LAYER_BYTES) }]] };
    await putImage(registry.host, ["team/other", "1"], other as Parameters<typeof putImage>[2]);
    double.mischief = async (request, forward) => {
      const answer = await forward();
      return isLayer(request, answer) ? new Response(answer.body, { status: 403 }) : answer;
    };
    await engine.tiffin(["pull", `${double.host}/team/other:1`]);
    expect(stored().files.length).toBeGreaterThan(before.files.length);
    const usage = await engine.tiffinOk("system", "df", "-v");
    expect(usage).toMatch(/^Kept beside the images' files: 2\.4\d+MB as they came/m);
    await engine.tiffinOk("image", "prune", "-af");
    expect(stored()).toEqual(before);
  });
});

/** The same answer in small pieces. */
async function slowly(answer: Response): Promise<Response> {
  const content = await answer.bytes();
  const PIECE = 40_000;
  const body = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      try {
        for (let at = 0; at < content.length; at += PIECE) {
          controller.enqueue(content.subarray(at, at + PIECE));
          await Bun.sleep(5);
        }
        controller.close();
      } catch {
        // The reader went away.
      }
    },
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}
