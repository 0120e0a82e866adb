/** Who may: a token server whose tokens a real registry checks, credential helpers, client certificates. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import {
  type Double,
  openDouble,
  openRegistry,
  type RegistryFixture,
  registryObstacle,
} from "./registry-fixture.ts";
import { openTokenServer, PASSWORD, type TokenServer, USER } from "./token-server-fixture.ts";

const obstacle =
  engineObstacle ?? registryObstacle ?? (Bun.which("openssl") ? undefined : "this needs openssl");

/** A credential store of one file, in the protocol of docker-credential-helpers. */
const HELPER = `#!/bin/sh
file="\${0%/*}/stored"
echo "$1" >> "\${0%/*}/called"
case "$1" in
  store) cat > "$file" ;;
  get) if [ -f "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
  erase) rm -f "$file" ;;
esac
`;

describe.skipIf(obstacle !== undefined)("a registry with", () => {
  let engine: EngineFixture;
  let tokens: TokenServer;
  let registry: RegistryFixture;
  let double: Double;
  let secured: RegistryFixture;
  let scratch = "";
  let config = "";
  let env: Record<string, string> = {};

  const at = (name: string): string => join(scratch, name);

  function sh(script: string): void {
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-ec", script], { cwd: scratch });
    expect({ exitCode, stderr: exitCode === 0 ? "" : stderr.toString() }).toEqual({
      exitCode: 0,
      stderr: "",
    });
  }

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), "tiffin-auth."));
    sh(`new="openssl req -newkey rsa:2048 -nodes"
        for name in token authority; do
          $new -x509 -keyout $name-key.pem -out $name.pem -days 2 -subj /CN=$name -addext basicConstraints=critical,CA:TRUE 2>/dev/null
        done
        echo subjectAltName=IP:127.0.0.1 > names
        for name in server client; do
          $new -keyout $name-key.pem -out $name.csr -subj /CN=$name 2>/dev/null
          openssl x509 -req -in $name.csr -CA authority.pem -CAkey authority-key.pem -CAcreateserial -days 2 -extfile names -out $name.pem 2>/dev/null
        done`);
    tokens = openTokenServer({ certificate: at("token.pem"), key: at("token-key.pem") });
    registry = await openRegistry({
      tokens: { realm: tokens.realm, certificate: at("token.pem") },
    });
    double = openDouble(registry);
    secured = await openRegistry({
      tls: {
        certificate: at("server.pem"),
        key: at("server-key.pem"),
        clientAuthority: at("authority.pem"),
      },
    });
    const certificates = { clientCertificate: "client.pem", clientKey: "client-key.pem" };
    const mirrors = { mirrors: [`http://${double.host}`], plainHttp: true };
    const hosts = { [secured.host]: { authority: "authority.pem", ...certificates } };
    const settings = { hosts: { ...hosts, [registry.host]: mirrors } };
    writeFileSync(at("registries.json"), JSON.stringify(settings));
    engine = await openEngineFixture({ env: { TIFFIN_REGISTRIES: at("registries.json") } });
    await engine.importBusybox("busybox:latest");
  }, 120_000);

  beforeEach(() => {
    tokens.asked.length = 0;
    config = mkdtempSync(join(scratch, "config."));
    env = { DOCKER_CONFIG: config };
  });

  afterAll(async () => {
    await engine?.close();
    await double?.close();
    await registry?.close();
    await secured?.close();
    await tokens?.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  const login = (): string[] => ["login", "-u", USER, "--password-stdin", registry.host];

  for (const program of ["tiffin", "docker"] as const) {
    test(`a token server: ${program} logs in, pushes and pulls with a token for each repository`, async () => {
      const name = `${registry.host}/${program}:1`;
      await engine.tiffinOk("tag", "busybox", name);
      const nobody = await engine[program](["push", name], { env });
      expect(nobody.status).toBe(1);
      expect(nobody.stderr).toMatch(/denied|unauthorized|authentication/);
      const wrong = await engine[program](login(), { env, stdin: "wrong" });
      expect(wrong.status).toBe(1);
      expect(wrong.stderr).toContain("incorrect username or password");
      tokens.asked.length = 0;
      const right = await engine[program](login(), { env, stdin: PASSWORD });
      expect(right.stdout).toContain("Login Succeeded");
      expect(tokens.asked).toEqual(["GET password"]);
      const { auths } = JSON.parse(readFileSync(join(config, "config.json"), "utf8"));
      expect(auths[registry.host].identitytoken).toBeString();
      expect(Buffer.from(auths[registry.host].auth ?? "", "base64").toString()).not.toContain(
        PASSWORD,
      );
      tokens.asked.length = 0;
      expect(await engine[program](["push", name], { env })).toMatchObject({ status: 0 });
      const scope = `repository:${program}:pull,push`;
      // Where a layer may be taken over from, that repository is asked for too.
      expect(tokens.asked.length).toBeGreaterThan(0);
      expect(tokens.asked.every((line) => line.startsWith(`POST refresh_token ${scope}`))).toBe(
        true,
      );
      expect(await engine[program](["pull", name], { env })).toMatchObject({ status: 0 });
      expect(tokens.asked).toContain(`POST refresh_token repository:${program}:pull`);
      const stranger = await engine[program](["pull", name]);
      expect(stranger.status).toBe(1);
      expect(stranger.stderr).toContain(`pull access denied for ${registry.host}/${program}`);
    });
  }

  test("credentials that are a password are sent to the token server, never to a mirror", async () => {
    const name = `${registry.host}/secret:1`;
    const auth = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
    writeFileSync(
      join(config, "config.json"),
      JSON.stringify({ auths: { [registry.host]: { auth } } }),
    );
    const seen: (string | null)[] = [];
    double.mischief = async (request) => {
      seen.push(request.headers.get("authorization"));
      return new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="m"' } });
    };
    await engine.tiffinOk("tag", "busybox", name);
    expect(await engine.tiffin(["push", name], { env })).toMatchObject({ status: 0 });
    expect(await engine.tiffin(["pull", name], { env })).toMatchObject({ status: 0 });
    expect(tokens.asked).toContain("GET password repository:secret:pull");
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([null]));
  });

  test("an access token of the client's own goes to the registry as it is", async () => {
    const direct = await fetch(
      `${tokens.realm}?service=tests&scope=registry:catalog:*&scope=repository:tiffin:pull`,
      {
        headers: {
          authorization: `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`,
        },
      },
    );
    const { token } = (await direct.json()) as { token: string };
    tokens.asked.length = 0;
    const header = Buffer.from(JSON.stringify({ registrytoken: token })).toString("base64url");
    const path = `/images/search?term=${encodeURIComponent(`${registry.host}/tiff`)}`;
    const found = await fetch(`http://tiffin${path}`, {
      unix: engine.socket,
      headers: { "x-registry-auth": header },
    } as RequestInit);
    expect(await found.json()).toMatchObject([{ name: `${registry.host}/tiffin` }]);
    expect(tokens.asked).toEqual([]);
  });

  test.each(["credsStore", "credHelpers"])(
    "a helper named by %s keeps what login got, until logout",
    async (kind) => {
      const programs = join(config, "bin");
      mkdirSync(programs);
      writeFileSync(join(programs, "docker-credential-of-tests"), HELPER);
      chmodSync(join(programs, "docker-credential-of-tests"), 0o755);
      const named = kind === "credsStore" ? "of-tests" : { [registry.host]: "of-tests" };
      writeFileSync(join(config, "config.json"), JSON.stringify({ [kind]: named }));
      const withHelper = { env: { ...env, PATH: `${programs}:${process.env["PATH"]}` } };
      const name = `${registry.host}/helped:1`;
      await engine.tiffinOk("tag", "busybox", name);
      const out = await engine.tiffin(login(), { ...withHelper, stdin: PASSWORD });
      expect(out).toMatchObject({ status: 0, stderr: "" });
      const stored = JSON.parse(readFileSync(join(programs, "stored"), "utf8"));
      expect(stored).toMatchObject({ ServerURL: registry.host, Username: "<token>" });
      expect(readFileSync(join(config, "config.json"), "utf8")).not.toContain(stored.Secret);
      for (const program of ["tiffin", "docker"] as const) {
        expect(await engine[program](["push", name], withHelper)).toMatchObject({ status: 0 });
      }
      expect(await engine.tiffin(["logout", registry.host], withHelper)).toMatchObject({
        status: 0,
      });
      expect(await engine.tiffin(["push", name], withHelper)).toMatchObject({ status: 1 });
      const called = readFileSync(join(programs, "called"), "utf8").split("\n");
      expect(called).toContain("store");
      expect(called).toContain("erase");
    },
  );

  test("an authority of its own and client certificates", async () => {
    const name = `${secured.host}/app:1`;
    await engine.tiffinOk("tag", "busybox", name);
    await engine.tiffinOk("push", name);
    await engine.tiffinOk("pull", name);
    const file = at("registries.json");
    const before = readFileSync(file, "utf8");
    try {
      writeFileSync(
        file,
        JSON.stringify({ hosts: { [secured.host]: { authority: "authority.pem" } } }),
      );
      const without = await engine.tiffin(["pull", name]);
      expect(without.status).toBe(1);
      expect(without.stderr).toContain(`Cannot reach https://${secured.host}`);
      const foreign = {
        authority: "token.pem",
        clientCertificate: "client.pem",
        clientKey: "client-key.pem",
      };
      writeFileSync(file, JSON.stringify({ hosts: { [secured.host]: foreign } }));
      const unknown = await engine.tiffin(["pull", name]);
      expect(unknown.status).toBe(1);
      expect(unknown.stderr).toContain(
        `Give the registry's authority in the settings of ${secured.host}`,
      );
    } finally {
      writeFileSync(file, before);
    }
  });
});
