/** Images from a real registry, and from one that misbehaves. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import {
  cutAfter,
  type Double,
  openDouble,
  openRegistry,
  type RegistryFixture,
  registryObstacle,
} from "./registry-fixture.ts";

/** Of the two layers one is larger. */
const LARGE_BYTES = 2 << 20;

const obstacle = engineObstacle ?? registryObstacle;

describe.skipIf(obstacle !== undefined)("pull", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;
  let double: Double;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    double = openDouble(registry);
    await pushImage();
  }, 120_000);

  afterAll(async () => {
    await double?.close();
    await registry?.close();
    await engine?.close();
  });

  beforeEach(async () => {
    double.mischief = async () => undefined;
    double.asked.length = 0;
    for (const id of new Set((await engine.tiffinOk("images", "-aq")).split("\n"))) {
      if (id !== "") await engine.tiffinOk("rmi", "-f", id);
    }
  });

  /** Two layers, one of them too large for one read, put there by skopeo. */
  async function pushImage(): Promise<void> {
    const root = join(engine.directory, "rootfs");
    mkdirSync(root);
    writeFileSync(join(root, "data"), randomBytes(3 << 20));
    const sh = (script: string): string => {
      const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-ec", script], {
        cwd: engine.directory,
      });
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr.toString() }).toEqual({
        exitCode: 0,
        stderr: "",
      });
      return stdout.toString();
    };
    sh(`umoci init --layout l && umoci new --image l:a
        umoci insert --rootless --image l:a rootfs / && umoci insert --rootless --image l:a ${Bun.which("busybox")} /bin/busybox
        umoci config --image l:a --config.cmd /bin/busybox --config.cmd echo --config.cmd pulled
        skopeo copy --dest-tls-verify=false oci:l:a docker://${registry.host}/team/app:1`);
  }

  function blobFiles(): string[] {
    return readdirSync(join(engine.root, "blobs/sha256"));
  }

  test("brings an image that runs; the second pull fetches nothing", async () => {
    const name = `${double.host}/team/app:1`;
    const out = await engine.tiffinOk("pull", name);
    expect(out).toContain("1: Pulling from team/app");
    expect(out).toContain(`Status: Downloaded newer image for ${name}`);
    expect(await engine.tiffinOk("run", "--rm", name)).toBe("pulled");
    double.asked.length = 0;
    expect(await engine.tiffinOk("pull", name)).toContain("Image is up to date");
    expect(double.asked.filter((line) => line.includes("/blobs/"))).toEqual([]);
  });

  test("docker's client pulls the same, by tag and by digest", async () => {
    const name = `${double.host}/team/app`;
    const out = await engine.dockerOk("pull", `${name}:1`);
    const digest = /Digest: (sha256:[0-9a-f]{64})/.exec(out)?.[1] ?? "";
    expect(await engine.dockerOk("inspect", "-f", "{{index .RepoDigests 0}}", `${name}:1`)).toBe(
      `${name}@${digest}`,
    );
    await engine.dockerOk("rmi", `${name}:1`);
    await engine.dockerOk("pull", `${name}@${digest}`);
    expect(await engine.dockerOk("run", "--rm", `${name}@${digest}`)).toBe("pulled");
  });

  test("rmi leaves nothing of it on the disk", async () => {
    const name = `${double.host}/team/app:1`;
    await engine.tiffinOk("pull", name);
    expect(blobFiles().length).toBeGreaterThan(3);
    await engine.tiffinOk("rmi", name);
    expect(blobFiles()).toEqual([]);
    expect(await engine.leaks()).toEqual([]);
  });

  test("a connection that is cut is made again for the rest", async () => {
    let cuts = 0;
    double.mischief = async (request, forward) => {
      if (!request.url.includes("/blobs/") || cuts >= 2) return undefined;
      const response = await forward();
      if (Number(response.headers.get("content-length")) < LARGE_BYTES) return response;
      cuts += 1;
      return cutAfter(response, 700_000);
    };
    expect(await engine.tiffinOk("pull", `${double.host}/team/app:1`)).toContain(
      "Downloaded newer",
    );
    expect(cuts).toBe(2);
    // What was on its way when the connection broke may be lost with it.
    const ranges = double.asked.flatMap((line) => / bytes=(\d+)-$/.exec(line)?.[1] ?? []);
    expect(ranges).toHaveLength(2);
    expect(Number(ranges[0])).toBeGreaterThan(0);
    expect(Number(ranges[1])).toBeGreaterThan(Number(ranges[0]));
  });

  test("bytes that are not what the digest says are refused, and none stay", async () => {
    double.mischief = async (request, forward) => {
      if (!request.url.includes("/blobs/")) return undefined;
      const response = await forward();
      const bytes = await response.bytes();
      if (bytes.length < LARGE_BYTES) return new Response(bytes, { headers: response.headers });
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
      return new Response(bytes, { headers: response.headers });
    };
    const ran = await engine.tiffin(["pull", `${double.host}/team/app:1`]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/digest|damaged/);
    expect(await engine.tiffinOk("images", "-q")).toBe("");
    expect(await engine.leaks()).toEqual([]);
  });

  test("an engine that is killed while it downloads goes on from there", async () => {
    const stalled = Promise.withResolvers<void>();
    double.mischief = async (request, forward) => {
      if (!request.url.includes("/blobs/")) return undefined;
      const response = await forward();
      const bytes = await response.bytes();
      if (bytes.length < LARGE_BYTES) return new Response(bytes, { headers: response.headers });
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(bytes.subarray(0, 1 << 20));
          setTimeout(stalled.resolve, 500);
        },
      });
      return new Response(body, { headers: response.headers });
    };
    const name = `${double.host}/team/app:1`;
    const client = engine.startClient("tiffin", ["pull", name]);
    await stalled.promise;
    await engine.killEngine();
    await client.ended;
    await engine.startEngine();
    expect(blobFiles().some((file) => file.startsWith("partial-"))).toBe(true);
    double.mischief = async () => undefined;
    double.asked.length = 0;
    expect(await engine.tiffinOk("pull", name)).toContain("Downloaded newer image");
    expect(double.asked.some((line) => line.endsWith("bytes=1048576-"))).toBe(true);
    expect(await engine.tiffinOk("run", "--rm", name)).toBe("pulled");
  });

  test("a registry that is busy is asked again", async () => {
    let refusals = 0;
    double.mischief = async () => {
      refusals += 1;
      return refusals <= 2
        ? new Response("", { status: refusals === 1 ? 503 : 429, headers: { "retry-after": "0" } })
        : undefined;
    };
    await engine.tiffinOk("pull", `${double.host}/team/app:1`);
    expect(refusals).toBeGreaterThan(2);
  });

  test("credentials do not go where a redirect leads", async () => {
    const seen: (string | null)[] = [];
    const elsewhere = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        seen.push(request.headers.get("authorization"));
        const { pathname } = new URL(request.url);
        return fetch(`http://${registry.host}${pathname}`, { decompress: false } as RequestInit);
      },
    });
    double.mischief = async (request) => {
      const { pathname } = new URL(request.url);
      if (request.headers.get("authorization") === null) {
        const headers = { "www-authenticate": 'Basic realm="x"' };
        return new Response("", { status: 401, headers });
      }
      if (!pathname.includes("/blobs/")) return undefined;
      return Response.redirect(`http://127.0.0.1:${elsewhere.port}${pathname}`, 307);
    };
    const config = join(engine.directory, "docker-config");
    mkdirSync(config, { recursive: true });
    const auth = Buffer.from("ann:secret").toString("base64");
    const content = { auths: { [double.host]: { auth } } };
    writeFileSync(join(config, "config.json"), JSON.stringify(content));
    const env = { DOCKER_CONFIG: config };
    const ran = await engine.tiffin(["pull", `${double.host}/team/app:1`], { env });
    await elsewhere.stop(true);
    expect(ran).toMatchObject({ status: 0 });
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([null]));
  });

  test.each([
    ["team/none:1", "not found: manifest unknown"],
    ["team/app:2", "not found: manifest unknown"],
  ])("%s that is not there is told in docker's words", async (path, words) => {
    const name = `${double.host}/${path}`;
    const ours = await engine.tiffin(["pull", name]);
    expect(ours).toMatchObject({ status: 1 });
    expect(ours.stderr).toContain(`manifest for ${name} ${words}`);
    const dockers = await engine.docker(["pull", name]);
    expect(dockers).toMatchObject({ status: 1 });
    expect(dockers.stderr).toContain(`manifest for ${name} ${words}`);
  });
});
