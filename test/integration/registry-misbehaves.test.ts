/** A registry that cuts, lies, refuses and never ends: each time a right image or a clear error, and nothing but listed partial blobs. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { MEDIA_TYPE } from "../../src/images/manifest.ts";
import { callApi, callOk } from "./engine-api.ts";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import {
  cutAfter,
  type Double,
  type Mischief,
  openDouble,
  openRegistry,
  type RegistryFixture,
  registryObstacle,
} from "./registry-fixture.ts";
import {
  busyboxLayer,
  type PutDescriptor,
  putBlob,
  putImage,
  putIndex,
  putManifest,
} from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;
const DATA_BYTES = 1 << 20;

describe.skipIf(obstacle !== undefined)("a registry that", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;
  let double: Double;
  let image: PutDescriptor;
  let name = "";
  /** The digest of the layer with the data. */
  let layer = "";

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    double = openDouble(registry);
    name = `${double.host}/app:1`;
    const content = randomBytes(DATA_BYTES);
    const layers = [
      busyboxLayer(),
      [{ type: "file", path: "data", mode: 0o644, content } as const],
    ];
    image = await putImage(registry.host, ["app", "1"], { layers });
    const manifest = await (
      await fetch(`http://${registry.host}/v2/app/manifests/1`, {
        headers: { accept: MEDIA_TYPE.ociManifest },
      })
    ).json();
    layer = (manifest as { layers: PutDescriptor[] }).layers[1]?.digest ?? "";
  }, 120_000);

  beforeEach(async () => {
    double.mischief = async () => undefined;
    double.asked.length = 0;
    await removeImages();
  });

  afterAll(async () => {
    await double?.close();
    await registry?.close();
    await engine?.close();
  });

  const isLayer = (request: Request): boolean => request.url.includes(layer);
  const isManifest = (request: Request): boolean => request.url.includes("/manifests/");

  async function pullsAll(): Promise<void> {
    expect(await pull(name)).toBe("");
    expect(await engine.tiffinOk("run", "--rm", name)).toBe("pulled");
  }

  /** The error's words, or "". */
  async function pull(reference: string): Promise<string> {
    const path = `/images/create?fromImage=${encodeURIComponent(reference)}`;
    const { status, text, json } = await callApi(engine, "POST", path);
    if (status >= 400) return (json as { message: string }).message;
    return /"error":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? "";
  }

  async function imageIds(): Promise<string[]> {
    const images = await callOk<{ Id: string }[]>(engine, "GET", "/images/json?all=1");
    return images.map(({ Id: id }) => id);
  }

  async function removeImages(): Promise<void> {
    for (const id of await imageIds()) await callOk(engine, "DELETE", `/images/${id}?force=1`);
    await callOk(engine, "POST", "/images/prune");
  }

  /** The pull fails with these words; what stays is listed, and the next pull of an honest registry is whole. */
  async function failsWith(words: string | RegExp, reference = name): Promise<void> {
    await removeImages();
    expect(await pull(reference)).toMatch(words);
    expect(await imageIds()).toEqual([]);
    const left = readdirSync(join(engine.root, "blobs/sha256"));
    expect(left.filter((file) => !file.startsWith("partial-"))).toEqual([]);
    expect(readdirSync(join(engine.root, "layers/sha256"))).toEqual([]);
    expect(await callOk<object>(engine, "GET", "/tiffin/check")).toMatchObject({ findings: [] });
    double.mischief = async () => undefined;
    expect(await pull(name)).toBe("");
  }

  const once = (mischief: Mischief): Mischief => {
    let isDone = false;
    return async (request, forward) => {
      if (isDone) return undefined;
      const answer = await mischief(request, forward);
      isDone = answer !== undefined;
      return answer;
    };
  };

  test.each([0, 1, 4096, DATA_BYTES - 1])("cuts a layer after %d bytes", async (bytes) => {
    double.mischief = once(async (request, forward) =>
      isLayer(request) ? cutAfter(await forward(), bytes) : undefined,
    );
    await pullsAll();
  });

  test("cuts a manifest and a configuration", async () => {
    double.mischief = once(async (request, forward) =>
      isManifest(request) ? cutAfter(await forward(), 20) : undefined,
    );
    await pullsAll();
  });

  test("declares more bytes than it sends", async () => {
    double.mischief = once(async (request, forward) => {
      if (!isLayer(request)) return undefined;
      const bytes = await (await forward()).bytes();
      return new Response(bytes.subarray(0, 1000));
    });
    await pullsAll();
    expect(double.asked.some((line) => line.endsWith(" bytes=1000-"))).toBe(true);
  });

  test("sends more bytes than the manifest declares", async () => {
    double.mischief = async (request, forward) =>
      isLayer(request)
        ? new Response(Buffer.concat([await (await forward()).bytes(), Buffer.from("x")]))
        : undefined;
    await failsWith(/sends more than the \d+ bytes/);
  });

  test("is slow", async () => {
    double.mischief = async (request, forward) => {
      if (!isManifest(request)) return undefined;
      const answer = await forward();
      const bytes = await answer.bytes();
      const drip = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          for (let at = 0; at < bytes.length; at += 50) {
            controller.enqueue(bytes.subarray(at, at + 50));
            await Bun.sleep(5);
          }
          controller.close();
        },
      });
      return new Response(drip, { headers: answer.headers });
    };
    await pullsAll();
  });

  test.each([
    ["416", () => new Response("", { status: 416 })],
    [
      "another range",
      () => new Response("xyz", { status: 206, headers: { "content-range": "bytes 7-9/10" } }),
    ],
    ["a range without a place", () => new Response("xyz", { status: 206 })],
  ])("answers a request for the rest with %s", async (_what, answer) => {
    const cut = once(async (request, forward) =>
      isLayer(request) ? cutAfter(await forward(), 5000) : undefined,
    );
    double.mischief = async (request, forward) =>
      isLayer(request) && request.headers.has("range") ? answer() : await cut(request, forward);
    await pullsAll();
  });

  test("refuses with 429 and 503 as long as it likes", async () => {
    double.mischief = async () =>
      Response.json(
        { errors: [{ code: "TOOMANYREQUESTS", message: "slow down" }] },
        { status: 429, headers: { "retry-after": "0" } },
      );
    await failsWith("toomanyrequests: slow down");
    expect(double.asked.filter((line) => line.includes("/manifests/1")).length).toBeGreaterThan(3);
  });

  test("says when to come back, as seconds and as a date", async () => {
    const began = Date.now();
    let refusals = 0;
    double.mischief = async () => {
      refusals += 1;
      if (refusals > 2) return undefined;
      const date = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000);
      const when = refusals === 1 ? "1" : date.toUTCString();
      return new Response("", { status: 429, headers: { "retry-after": when } });
    };
    await pullsAll();
    expect(Date.now() - began).toBeGreaterThan(2000);
  });

  test("gives other content for a digest", async () => {
    await putImage(registry.host, ["app", "other"], { layers: [busyboxLayer()] });
    double.mischief = async (request) => {
      if (!request.url.endsWith(image.digest)) return undefined;
      const other = `http://${registry.host}/v2/app/manifests/other`;
      const answer = await fetch(other, { headers: { accept: MEDIA_TYPE.ociManifest } });
      return new Response(await answer.bytes(), { headers: { "content-type": image.mediaType } });
    };
    await failsWith(
      /manifest sha256:\w+ has the digest sha256/,
      `${double.host}/app@${image.digest}`,
    );
  });

  test.each([
    ["an index", MEDIA_TYPE.ociIndex, "which it is not"],
    ["of schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"],
  ])("calls a manifest %s", async (_what, type, words) => {
    double.mischief = async (request, forward) => {
      if (!isManifest(request)) return undefined;
      return new Response(await (await forward()).bytes(), { headers: { "content-type": type } });
    };
    await failsWith(words);
  });

  test.each([
    ["HTML", "<html><body>Log in</body></html>", "it is not JSON"],
    ["nothing", "", "it is not JSON"],
    ["a list", "[]", "it is not an object"],
    ["a manifest and an index at once", '{"manifests": [], "layers": []}', "at once"],
    [
      "an index that calls itself a manifest",
      `{"mediaType": "${MEDIA_TYPE.ociManifest}", "manifests": []}`,
      "not what its media type",
    ],
    [
      "a digest that leads out",
      '{"config": {"digest": "sha256:../../x", "size": 1}, "layers": []}',
      "is no sha256 digest",
    ],
  ])("answers with %s in place of a manifest", async (_what, text, words) => {
    double.mischief = async (request) => (isManifest(request) ? new Response(text) : undefined);
    await failsWith(words);
  });

  test("answers with HTML in place of a layer and of a configuration", async () => {
    double.mischief = async (request) =>
      request.url.includes("/blobs/") ? new Response("<html>".repeat(1000)) : undefined;
    await failsWith(/sends more than the \d+ bytes/);
  });

  test("has a manifest, a layer and a list of tags without an end", async () => {
    const endless = (): Response =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => controller.enqueue(Buffer.alloc(1 << 20, 0x20)),
        }),
      );
    double.mischief = async (request) => (isManifest(request) ? endless() : undefined);
    await failsWith("manifest has more than 8388608 bytes");
    double.mischief = async (request) =>
      request.url.includes("/tags/list") ? endless() : undefined;
    const all = await engine.tiffin(["pull", "-a", `${double.host}/app`]);
    expect(all).toMatchObject({ status: 1 });
    expect(all.stderr).toContain("list of the tags of app is none");
    double.mischief = async (request) => (isLayer(request) ? endless() : undefined);
    await failsWith(/sends more than the \d+ bytes|a header's checksum is/);
  });

  test("has indexes in indexes in indexes, and too many of them", async () => {
    let inner: readonly PutDescriptor[] = [image];
    for (const tag of ["d1", "d2", "d3", "d4"])
      inner = [await putIndex(registry.host, ["app", tag], inner)];
    await failsWith("nested more than 3 deep", `${double.host}/app:d4`);
    const many = Array.from({ length: 17 }, () => inner[0] ?? image);
    await putIndex(registry.host, ["app", "wide"], many);
    await failsWith("at most 16 are looked at", `${double.host}/app:wide`);
  });

  test("redirects in a circle, or to what is no web", async () => {
    double.mischief = async (request) =>
      isLayer(request) ? Response.redirect(request.url, 307) : undefined;
    await failsWith("leads on and on");
    double.mischief = async (request) =>
      isLayer(request)
        ? new Response("", { status: 302, headers: { location: "file:///etc/passwd" } })
        : undefined;
    await failsWith("leads to file:///etc/passwd");
  });

  test("has foreign layers, and a configuration of ten gigabytes", async () => {
    const config = { mediaType: MEDIA_TYPE.ociConfig, digest: image.digest, size: 10e9 };
    const document = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config, layers: [] };
    double.mischief = async (request) =>
      isManifest(request) ? Response.json(document) : undefined;
    await failsWith("it has 10000000000 bytes, at most");
    double.mischief = async (request, forward) => {
      if (!isManifest(request)) return undefined;
      const text = await (await forward()).text();
      return new Response(text.replaceAll(".layer.v1.tar", ".layer.nondistributable.v1.tar"));
    };
    await failsWith("it is a foreign layer, which its registry does not have");
  });

  test("asks for a token that its token server does not give", async () => {
    const challenge = (realm: string): Response =>
      new Response("", { status: 401, headers: { "www-authenticate": `Bearer realm="${realm}"` } });
    const server = `http://${double.host}/token`;
    const answers: readonly [realm: string, Mischief, string][] = [
      [server, async () => new Response("<html>"), "answered with no JSON"],
      [server, async () => Response.json({}), "answered without a token"],
      ["ftp://x/", async () => undefined, "its token server is at ftp:"],
      ["tin", async () => undefined, 'its token server "tin" is no address'],
    ];
    for (const [realm, token, words] of answers) {
      double.mischief = async (request, forward) =>
        request.url.includes("/token") ? token(request, forward) : challenge(realm);
      await failsWith(words);
    }
    // And one that is busy at first.
    let refusals = 0;
    double.mischief = async (request, forward) => {
      if (!request.url.includes("/token")) {
        return request.headers.get("authorization") === "Bearer t" ? forward() : challenge(server);
      }
      refusals += 1;
      return refusals < 3 ? new Response("", { status: 503 }) : Response.json({ token: "t" });
    };
    await pullsAll();
  });

  describe("is asked to take an image and", () => {
    async function pushes(): Promise<string> {
      expect(await pull(`${registry.host}/app:1`)).toBe("");
      const target = `${double.host}/pushed${randomBytes(4).toString("hex")}:1`;
      await engine.tiffinOk("tag", `${registry.host}/app:1`, target);
      const ran = await engine.tiffin(["push", target]);
      if (ran.status !== 0) return ran.stderr;
      expect(ran.stdout).toContain(`1: digest: ${image.digest} size: `);
      const path = target.slice(target.indexOf("/") + 1);
      await removeImages();
      expect(await pull(`${registry.host}/${path}`)).toBe("");
      expect(await engine.tiffinOk("run", "--rm", `${registry.host}/${path}`)).toBe("pulled");
      return "";
    }

    const size = (request: Request): number => Number(request.headers.get("content-length") ?? 0);

    test("takes no request of more than 300 kB: it gets smaller ones", async () => {
      double.mischief = async (request) =>
        size(request) > 300_000 ? new Response("", { status: 413 }) : undefined;
      expect(await pushes()).toBe("");
      expect(double.asked.filter((line) => line.startsWith("PATCH")).length).toBeGreaterThan(4);
    });

    test("takes none at all: that is said", async () => {
      double.mischief = async (request) =>
        size(request) > 10_000 ? new Response("", { status: 413 }) : undefined;
      expect(await pushes()).toContain("takes no request with as much as");
    });

    test("loses an upload once, breaks once, and forgets where it goes", async () => {
      const statuses = [404, 500, 416];
      double.mischief = async (request) => {
        if (request.method !== "PUT" || !request.url.includes("/blobs/uploads/")) return undefined;
        const status = statuses.pop();
        return status === undefined ? undefined : new Response("", { status });
      };
      expect(await pushes()).toBe("");
      expect(statuses).toEqual([]);
      double.mischief = async (request) =>
        request.method === "POST" ? new Response("", { status: 202 }) : undefined;
      expect(await pushes()).toContain("did not say where the upload goes");
    });

    test("refuses the manifest", async () => {
      double.mischief = async (request) =>
        request.method === "PUT" && isManifest(request)
          ? Response.json({ errors: [{ code: "DENIED", message: "not today" }] }, { status: 403 })
          : undefined;
      expect(await pushes()).toContain("denied: not today");
    });
  });

  test("packs its answers on the way is asked not to", async () => {
    const seen = new Set<string | null>();
    double.mischief = async (request) => {
      seen.add(request.headers.get("accept-encoding"));
      return undefined;
    };
    await pullsAll();
    expect([...seen]).toEqual(["identity"]);
  });

  test("has an artifact under a name: it is no image", async () => {
    const empty = await putBlob(
      registry.host,
      "app",
      Buffer.from("{}"),
      "application/vnd.oci.empty.v1+json",
    );
    await putManifest(registry.host, ["app", "artifact"], {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: empty,
      layers: [empty],
    });
    await failsWith("it is an artifact", `${double.host}/app:artifact`);
  });
});
