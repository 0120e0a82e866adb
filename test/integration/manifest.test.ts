/** What registries are asked without an image coming in: manifests, lists of them, referrers, searches. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MEDIA_TYPE } from "../../src/images/manifest.ts";
import { isCurrentDocker } from "./docker-client.ts";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import {
  type Double,
  openDouble,
  openRegistry,
  type RegistryFixture,
  registryObstacle,
} from "./registry-fixture.ts";
import {
  busyboxLayer,
  putBlob,
  type PutDescriptor,
  putImage,
  putManifest,
} from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;
const BILL = "application/spdx+json";
const EMPTY = "application/vnd.oci.empty.v1+json";

describe.skipIf(obstacle !== undefined)("manifests in a registry", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;
  let double: Double;
  /** An older client asks registries itself, for docker's kinds of manifests alone. */
  const readsOci = isCurrentDocker("manifest: those of the OCI image format");
  let amd: PutDescriptor;
  let arm: PutDescriptor;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    double = openDouble(registry);
    const layers = [busyboxLayer()];
    amd = await putImage(registry.host, ["app", "amd64"], { layers });
    arm = await putImage(registry.host, ["team/arm", "1"], { layers, architecture: "arm64" });
  }, 120_000);

  afterEach(() => {
    double.mischief = async () => undefined;
  });

  afterAll(async () => {
    await double?.close();
    await registry?.close();
    await engine?.close();
  });

  /** As both clients print it: lines of JSON. */
  async function inspect(program: "docker" | "tiffin", ...args: string[]): Promise<unknown> {
    const insecure = program === "docker" ? ["--insecure"] : [];
    const ran = await engine[program](["manifest", "inspect", ...insecure, ...args]);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    return JSON.parse(ran.stdout);
  }

  test.skipIf(!readsOci)(
    "manifest inspect shows what docker's client shows, and more with -v",
    async () => {
      const name = `${registry.host}/app:amd64`;
      expect(await inspect("tiffin", name)).toEqual(await inspect("docker", name));
      const verbose = await inspect("tiffin", "-v", name);
      expect(verbose).toEqual(await inspect("docker", "-v", name));
      expect(verbose).toMatchObject({
        Ref: name,
        Descriptor: { digest: amd.digest, platform: { architecture: "amd64", os: "linux" } },
        OCIManifest: { mediaType: MEDIA_TYPE.ociManifest },
      });
    },
  );

  test("a list of manifests is made, annotated, pushed, and read by docker and skopeo", async () => {
    const list = `${registry.host}/app:many`;
    const [one, other] = [`${registry.host}/app:amd64`, `${registry.host}/team/arm:1`];
    const made = await engine.tiffinOk("manifest", "create", "--insecure", list, one, other);
    expect(made).toBe(`Created manifest list ${list}`);
    const again = await engine.tiffin(["manifest", "create", list, one]);
    expect(again).toMatchObject({ status: 1 });
    expect(again.stderr).toContain("refusing to amend an existing manifest list with no --amend");
    const wrong = await engine.tiffin(["manifest", "annotate", "--arch", "tin", list, one]);
    expect(wrong.stderr).toContain("unsupported os/arch combination: linux/tin");
    await engine.tiffinOk("manifest", "annotate", "--variant", "v8", list, other);
    // Docker's client goes on with our list, as we do with its.
    if (readsOci) {
      expect(await inspect("docker", "-v", list)).toEqual(await inspect("tiffin", "-v", list));
    }
    const pushed = await engine.tiffinOk("manifest", "push", "--purge", list);
    const [ref, digest = ""] = pushed.split("\n");
    expect(ref).toBe(`Pushed ref ${registry.host}/app@${arm.digest} with digest: ${arm.digest}`);
    expect(existsSync(join(engine.directory, "none/manifests/app"))).toBe(false);
    const { exitCode, stdout } = Bun.spawnSync([
      "skopeo",
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://${registry.host}/app@${digest}`,
    ]);
    expect(exitCode).toBe(0);
    const index = JSON.parse(stdout.toString());
    expect(index).toMatchObject({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex });
    expect(index.manifests).toHaveLength(2);
    expect(index.manifests[1].platform).toEqual({
      architecture: "arm64",
      os: "linux",
      variant: "v8",
    });
    expect(await inspect("tiffin", list)).toEqual(index);
    if (!readsOci) return;
    expect(await inspect("docker", list)).toEqual(index);
    expect(await inspect("tiffin", "-v", list)).toEqual(await inspect("docker", "-v", list));
  });

  test("a list in a registry is edited: all that it has, and one more", async () => {
    const name = (tag: string): string => `${registry.host}/edit:${tag}`;
    const layers = [busyboxLayer()];
    await putImage(registry.host, ["edit", "a"], { layers });
    await putImage(registry.host, ["edit", "s"], { layers, architecture: "s390x" });
    await engine.tiffinOk("manifest", "create", name("1"), name("a"));
    await engine.tiffinOk("manifest", "push", "-p", name("1"));
    await engine.tiffinOk("manifest", "create", name("2"), name("1"), name("s"));
    await engine.tiffinOk("manifest", "push", name("2"));
    await engine.tiffinOk("manifest", "rm", name("2"));
    const gone = await engine.tiffin(["manifest", "rm", name("2")]);
    expect(gone).toMatchObject({ status: 1 });
    expect(gone.stderr).toContain(`No such manifest: ${name("2")}`);
    const { manifests } = (await inspect("tiffin", name("2"))) as { manifests: PutDescriptor[] };
    const platforms = manifests.map(({ platform }) => JSON.stringify(platform)).sort();
    expect(platforms).toEqual([
      '{"architecture":"amd64","os":"linux"}',
      '{"architecture":"s390x","os":"linux"}',
    ]);
  });

  test("what cannot be a list is refused, and nothing is pushed", async () => {
    const list = `${registry.host}/app:bad`;
    const missing = await engine.tiffin(["manifest", "create", list, `${registry.host}/app:none`]);
    expect(missing.stderr).toContain(`manifest for ${registry.host}/app:none not found`);
    await engine.tiffinOk("manifest", "create", list, `${double.host}/app:amd64`);
    const foreign = await engine.tiffin(["manifest", "push", list]);
    expect(foreign).toMatchObject({ status: 1 });
    expect(foreign.stderr).toContain("cannot use source images from a different registry");
    const none = await engine.tiffin(["pull", list]);
    expect(none.stderr).toContain("manifest unknown");
  });

  test("GET /distribution/{name}/json tells digest and platforms", async () => {
    const name = `${registry.host}/team/arm:1`;
    const url = `http://docker/distribution/${name}/json`;
    const response = await fetch(url, { unix: engine.socket } as RequestInit);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      Descriptor: { mediaType: arm.mediaType, digest: arm.digest, size: arm.size },
      Platforms: [{ architecture: "arm64", os: "linux" }],
    });
    const none = await fetch(`http://docker/distribution/${registry.host}/none/json`, {
      unix: engine.socket,
    } as RequestInit);
    expect(none.status).toBe(404);
  });

  test("referrers are listed, by the tag schema where the registry has nothing else", async () => {
    const host = registry.host;
    const config = await putBlob(host, "app", Buffer.from("{}"), EMPTY);
    const layer = await putBlob(host, "app", Buffer.from('{"bill": 1}'), BILL);
    const artifact = await putManifest(host, ["app"], {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: BILL,
      config,
      layers: [layer],
      subject: { mediaType: amd.mediaType, digest: amd.digest, size: amd.size },
    });
    const list = ["image", "referrers", "--format", "{{.Digest}} {{.ArtifactType}}", "--no-trunc"];
    const entry = { ...artifact, artifactType: BILL, annotations: { made: "today" } };
    expect(await engine.tiffinOk(...list, `${host}/app:amd64`)).toBe("");
    await putManifest(host, ["app", amd.digest.replace(":", "-")], {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociIndex,
      manifests: [entry],
    });
    const expected = `${artifact.digest} ${BILL}`;
    expect(await engine.tiffinOk(...list, `${host}/app:amd64`)).toBe(expected);
    expect(await engine.tiffinOk(...list, "--artifact-type", "x/y", `${host}/app:amd64`)).toBe("");
    // A registry with the operation of OCI 1.1, page by page, which leaves the choice to us.
    double.mischief = async (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname !== `/v2/app/referrers/${amd.digest}`) return undefined;
      const isLast = search.includes("page=2");
      const manifests = [{ ...entry, artifactType: isLast ? "a/b" : BILL }];
      return Response.json(
        { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests },
        isLast ? {} : { headers: { link: `<${pathname}?page=2>; rel="next"` } },
      );
    };
    const both = await engine.tiffinOk(...list, `${double.host}/app:amd64`);
    expect(both.split("\n")).toEqual([expected, `${artifact.digest} a/b`]);
    const table = await engine.tiffinOk("image", "referrers", `${double.host}/app:amd64`);
    expect(table).toContain("made=today");
  });

  test("search asks the registry's index, or looks through its catalog, or says that there is neither", async () => {
    for (const program of ["tiffin", "docker"] as const) {
      const names = ["search", "--format", "{{.Name}}"];
      expect(await engine[`${program}Ok`](...names, `${registry.host}/arm`)).toBe(
        `${registry.host}/team/arm`,
      );
      double.mischief = async (request) => {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname !== "/v1/search") return undefined;
        expect(searchParams.get("q")).toBe("word");
        const one = { name: "a/word", description: "of\nmouth", star_count: 7, is_official: true };
        return Response.json({ results: [one, { ...one, name: "b/word", star_count: 1 }] });
      };
      const listed = await engine[program](["search", `${double.host}/word`]);
      expect(listed.stdout).toMatch(/^NAME +DESCRIPTION +STARS +OFFICIAL/);
      expect(listed.stdout).toMatch(/\na\/word +of mouth +7 +\[OK\]/);
      const starred = [...names, "--filter", "stars=3", `${double.host}/word`];
      expect(await engine[`${program}Ok`](...starred)).toBe("a/word");
      double.mischief = async () => new Response("<html>", { status: 404 });
      const none = await engine[program](["search", `${double.host}/word`]);
      expect(none.status).toBe(1);
      expect(none.stderr).toContain("it has neither a search nor a catalog");
      const most = await engine[program](["search", "--limit", "101", `${double.host}/word`]);
      expect(most.stderr).toContain("limit 101 is outside the range of [1, 100]");
    }
  });
});
