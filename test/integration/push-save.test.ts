/** Images on their way out: to a registry and into archives, read back by what others wrote. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import { openRegistry, type RegistryFixture, registryObstacle } from "./registry-fixture.ts";
import { busyboxLayer, putImage } from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;

describe.skipIf(obstacle !== undefined)("images on their way out", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
  }, 120_000);

  afterEach(async () => {
    await engine.removeContainers();
    for (const id of new Set((await engine.tiffinOk("images", "-aq")).split("\n"))) {
      if (id !== "") await engine.tiffinOk("rmi", "-f", id);
    }
    expect(await engine.leaks()).toEqual([]);
  });

  afterAll(async () => {
    await registry?.close();
    await engine?.close();
  });

  function sh(script: string): string {
    const ran = Bun.spawnSync(["sh", "-ec", script], { cwd: engine.directory });
    const stderr = ran.exitCode === 0 ? "" : ran.stderr.toString();
    expect({ script, status: ran.exitCode, stderr }).toEqual({ script, status: 0, stderr: "" });
    return ran.stdout.toString().trim();
  }

  function digestOf(name: string): string {
    const out = sh(`skopeo inspect --raw --tls-verify=false docker://${name} | sha256sum`);
    return `sha256:${out.split(" ")[0]}`;
  }

  test("what was pulled goes out bit for bit, and is taken over from where it is", async () => {
    const { digest } = await putImage(registry.host, ["source", "1"], { layers: [busyboxLayer()] });
    await engine.tiffinOk("pull", `${registry.host}/source:1`);
    await engine.tiffinOk("tag", `${registry.host}/source:1`, `${registry.host}/copy:2`);
    const out = await engine.tiffinOk("push", `${registry.host}/copy:2`);
    expect(out).toContain(`The push refers to repository [${registry.host}/copy]`);
    expect(out).toContain("Mounted from source");
    expect(out).toContain(`2: digest: ${digest} size: `);
    expect(digestOf(`${registry.host}/copy:2`)).toBe(digest);
    expect(await engine.tiffinOk("push", `${registry.host}/copy:2`)).toContain("already exists");
    const digests = '{{join .RepoDigests " "}}';
    expect(await engine.tiffinOk("inspect", "-f", digests, `${registry.host}/copy:2`)).toContain(
      `${registry.host}/copy@${digest}`,
    );
  });

  test("an imported image and one committed on it go out through docker's client and come back as they were", async () => {
    const name = `${registry.host}/made`;
    await engine.importBusybox(`${name}:a`);
    await engine.tiffinOk(
      "run",
      "--name",
      "changed",
      `${name}:a`,
      "sh",
      "-c",
      "rm /etc/group; echo x > /new",
    );
    await engine.tiffinOk("commit", "changed", `${name}:b`);
    await engine.tiffinOk("rm", "changed");
    const ids = await engine.tiffinOk("images", "-q", "--no-trunc", name);
    const out = await engine.dockerOk("push", "-a", name);
    expect(out).toContain("a: digest: sha256:");
    expect(out).toContain("b: digest: sha256:");
    for (const tag of ["a", "b"]) await engine.tiffinOk("rmi", `${name}:${tag}`);
    await engine.tiffinOk("pull", "-a", name);
    expect(await engine.tiffinOk("images", "-q", "--no-trunc", name)).toBe(ids);
    expect(await engine.tiffinOk("run", "--rm", `${name}:b`, "cat", "/new")).toBe("x");
    expect(sh(`skopeo inspect --tls-verify=false -f '{{len .Layers}}' docker://${name}:b`)).toBe(
      "2",
    );
  });

  test("a tag that is not here is told in docker's words", async () => {
    const ran = await engine.tiffin(["push", `${registry.host}/none:1`]);
    expect(ran.status).toBe(1);
    const words = `An image does not exist locally with the tag: ${registry.host}/none`;
    expect(ran.stderr).toContain(words);
    expect((await engine.docker(["push", `${registry.host}/none:1`])).stderr).toContain(words);
  });

  test("saved images are read by skopeo and umoci and load again: pulled, imported, by two names", async () => {
    const pulled = `${registry.host}/source:3`;
    const { digest } = await putImage(registry.host, ["source", "3"], { layers: [busyboxLayer()] });
    await engine.tiffinOk("pull", pulled);
    await engine.importBusybox("made:1");
    await engine.tiffinOk("tag", "made:1", "made:2");
    const ids = await engine.tiffinOk(
      "images",
      "--no-trunc",
      "--format",
      "{{.Repository}}:{{.Tag}} {{.ID}}",
    );
    const file = join(engine.directory, "all.tar");
    rmSync(file, { force: true });
    await engine.tiffinOk("save", "-o", file, pulled, "made:1", "made:2");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const dockers = await engine.docker(["save", pulled, "made:1", "made:2"]);
    const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    expect(sum(dockers.bytes)).toBe(sum(readFileSync(file)));
    const id = await engine.tiffinOk("inspect", "-f", "{{.Id}}", "made:1");
    sh(`rm -rf l d && mkdir d && tar -xf all.tar -C d
        skopeo copy docker-archive:all.tar:made:2 oci:l:made && umoci unpack --rootless --image l:made bundle
        skopeo inspect oci:d:3 >/dev/null`);
    expect(
      `sha256:${sh("skopeo inspect --config --raw docker-archive:all.tar:made:2 | sha256sum").split(" ")[0]}`,
    ).toBe(id);
    expect(readFileSync(join(engine.directory, "bundle/rootfs/etc/passwd"), "utf8")).toContain(
      "ann",
    );
    for (const name of [pulled, "made:1", "made:2"]) await engine.tiffinOk("rmi", "-f", name);
    await engine.dockerOk("load", "-i", file);
    expect(
      await engine.tiffinOk("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"),
    ).toBe(ids);
    expect(await engine.tiffinOk("run", "--rm", "made:2", "echo", "runs")).toBe("runs");
    await engine.tiffinOk("push", "-q", pulled);
    expect(digestOf(pulled)).toBe(digest);
  });

  test("a registry with its own authority and users: login, push, pull, logout", async () => {
    sh(`openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=tiffin \\
          -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:TRUE 2>/dev/null`);
    const at = (name: string): string => join(engine.directory, name);
    const htpasswd = sh("htpasswd -Bbn -C 4 ann s:cret");
    const safe = await openRegistry({
      htpasswd: `${htpasswd}\n`,
      tls: { certificate: at("cert.pem"), key: at("key.pem") },
    });
    const settings = { hosts: { [safe.host]: { authority: "cert.pem" } } };
    writeFileSync(at("registries.json"), JSON.stringify(settings));
    await engine.stopEngine();
    await engine.startEngine({ TIFFIN_REGISTRIES: at("registries.json") });
    const config = at("login-config");
    mkdirSync(config, { recursive: true });
    writeFileSync(join(config, "config.json"), JSON.stringify({ other: { kept: 1 } }), {
      mode: 0o644,
    });
    const env = { DOCKER_CONFIG: config };
    const login = ["login", "-u", "ann", "--password-stdin", safe.host];
    try {
      await engine.importBusybox(`${safe.host}/app:1`);
      const refused = await engine.tiffin(["push", `${safe.host}/app:1`], { env });
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/unauthorized|authentication/);
      const wrong = await engine.tiffin(login, { env, stdin: "wrong" });
      expect(wrong.status).toBe(1);
      expect(wrong.stderr).toContain("incorrect username or password");
      for (const program of ["tiffin", "docker"] as const) {
        const right = await engine[program](login, { env, stdin: "s:cret\n" });
        expect(right).toMatchObject({ status: 0 });
        expect(right.stdout).toContain("Login Succeeded");
        const file = join(config, "config.json");
        expect(statSync(file).mode & 0o777).toBe(0o600);
        const content = JSON.parse(readFileSync(file, "utf8")) as { auths: object; other?: object };
        expect(Object.keys(content.auths)).toEqual([safe.host]);
        if (program === "tiffin") expect(content.other).toEqual({ kept: 1 });
        expect(await engine[program](["push", `${safe.host}/app:1`], { env })).toMatchObject({
          status: 0,
        });
        expect(await engine[program](["pull", `${safe.host}/app:1`], { env })).toMatchObject({
          status: 0,
        });
        const out = await engine[program](["logout", safe.host], { env });
        expect(out.stdout).toContain(`Removing login credentials for ${safe.host}`);
        expect((await engine[program](["pull", `${safe.host}/app:1`], { env })).status).toBe(1);
      }
    } finally {
      await safe.close();
      await engine.stopEngine();
      await engine.startEngine();
    }
  });
});
