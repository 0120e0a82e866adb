/** `cp` without an archive: the engine copies by the host's path, for root on its own host alone. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: copies without an archive: ${obstacle}`);

/** All that a copy may hold, and what makes copies go wrong. */
const MAKE = `mkdir -p d/sub/deep d/empty d/group; echo one > d/one; ln d/one d/sub/again; ln -s one d/link; ln -s /nowhere d/broken
mkfifo d/pipe; mknod d/null c 1 3; : > d/nothing; dd if=/dev/zero of=d/large bs=1000 count=700 2>/dev/null; echo x > "d/$(printf 'bad\\377name')"
chown 1000:50 d/large; chmod 4755 d/large; chmod 2775 d/group; echo in > d/group/in; chown 7:8 d/group/in; chmod 500 d/sub/deep; chmod 1777 d/empty
touch -d '2001-02-03 04:05:06' d/one d/sub d/large d; touch -h -d '2002-02-03 04:05:06' d/link`;
const SHOW = `cd "$0" && find . | sort | while read -r f; do stat -c '%n %F %a %u:%g %s %Y %h %t,%T %N' "$f"; [ -f "$f" ] && md5sum < "$f"; done; true`;

let engine: EngineFixture;

function shell(script: string, ...args: string[]): string {
  const done = Bun.spawnSync(["busybox", "sh", "-c", script, ...args], { cwd: engine.directory });
  expect(done.stderr.toString()).toBe("");
  return done.stdout.toString("latin1");
}

const inContainer = (path: string): Promise<string> =>
  engine.tiffinOk("exec", "box", "sh", "-c", SHOW, path);

/** What the engine answers to a request of another process. */
function askAs(prefix: readonly string[], body: object): string {
  const url = "http://tiffin/tiffin/containers/box/copy";
  const done = Bun.spawnSync([
    ...prefix,
    "curl",
    "-s",
    "--unix-socket",
    engine.socket,
    "-X",
    "POST",
    "-H",
    "Content-Type: application/json",
    "-d",
    JSON.stringify(body),
    url,
  ]);
  return done.stdout.toString().trim();
}

describe.skipIf(obstacle !== undefined)("a copy without an archive", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "box",
      "--network",
      "none",
      "busybox",
      "sleep",
      "100000",
    );
    shell(MAKE);
  });
  afterAll(async () => await engine.close());

  test("leaves in the container what docker's client leaves there through one", async () => {
    const source = join(engine.directory, "d");
    await engine.tiffinOk("cp", source, "box:/by-tiffin");
    await engine.dockerOk("cp", source, "box:/by-docker");
    const left = await inContainer("/by-tiffin");
    expect(left.split("\n").length).toBeGreaterThan(20);
    expect(left).toBe(await inContainer("/by-docker"));
    await engine.tiffinOk("cp", "-a", source, "box:/by-tiffin");
    expect(await inContainer("/by-tiffin/d")).toBe(left);
  });

  test("leaves on the host what docker's client leaves there", async () => {
    await engine.tiffinOk("exec", "box", "sh", "-c", `cd /tmp && ${MAKE}`);
    const target = join(engine.directory, "out");
    await engine.tiffinOk("cp", "box:/tmp/d", target);
    await engine.dockerOk("cp", "box:/tmp/d", join(engine.directory, "expected"));
    expect(shell(SHOW, target)).toBe(shell(SHOW, join(engine.directory, "expected")));
  });

  test("follows no link that stands on the host where a directory is to be", async () => {
    const target = join(engine.directory, "taken");
    mkdirSync(join(target, "d"), { recursive: true });
    mkdirSync(join(engine.directory, "elsewhere"));
    symlinkSync(join(engine.directory, "elsewhere"), join(target, "d/sub"));
    const ran = await engine.tiffin(["cp", "box:/tmp/d", target]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain("cannot overwrite non-directory");
    expect(existsSync(join(engine.directory, "elsewhere/again"))).toBe(false);
  });

  test("is not for who is another user, or sees other files", async () => {
    const secret = join(engine.directory, "secret");
    writeFileSync(secret, "for root alone\n", { mode: 0o600 });
    const way = { Direction: "in", Path: "/tmp", HostPath: secret };
    chmodSync(engine.directory, 0o755);
    chmodSync(engine.run, 0o755);
    chmodSync(engine.socket, 0o666);
    const others: readonly (readonly string[])[] = [
      ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"],
      ["setpriv", "--bounding-set=-dac_read_search", "--inh-caps=-all"],
      ["unshare", "--mount"],
      ["unshare", "--user", "--map-root-user"],
    ];
    for (const [number, prefix] of others.entries()) {
      const base = `stolen-${number}`;
      expect({ prefix, said: askAs(prefix, { ...way, Base: base }) }).toEqual({
        prefix,
        said: '{"Copied":false}',
      });
      expect((await engine.tiffin(["exec", "box", "ls", `/tmp/${base}`])).status).toBe(1);
    }
    chmodSync(engine.socket, 0o660);
    expect(askAs([], { ...way, Base: "given" })).toBe('{"Copied":true}');
    expect(await engine.tiffinOk("exec", "box", "cat", "/tmp/given")).toBe("for root alone");
  });

  test("is told with its reason when it fails, and refuses half a request", async () => {
    const copy = (body: object) => callApi(engine, "POST", "/tiffin/containers/box/copy", body);
    const missing = await copy({
      Direction: "out",
      Path: "/none",
      HostPath: engine.directory,
      Base: "x",
    });
    expect(missing.status).toBe(404);
    expect(missing.text).toContain("Could not find the file /none in container box");
    expect((await copy({ Direction: "in", Path: "/tmp", HostPath: "d", Base: "x" })).status).toBe(
      400,
    );
    expect((await copy({ Direction: "up", Path: "/tmp", HostPath: "/", Base: "x" })).status).toBe(
      400,
    );
  });

  test("goes to and from a container that does not run as well", async () => {
    await engine.tiffinOk("create", "--name", "idle", "-v", "kept:/kept", "busybox", "true");
    await engine.tiffinOk("cp", join(engine.directory, "d"), "idle:/kept/d");
    const target = join(engine.directory, "back");
    await engine.tiffinOk("cp", "idle:/kept/d", target);
    expect(readFileSync(join(target, "sub/again"), "utf8")).toBe("one\n");
    await callOk(engine, "DELETE", "/containers/idle?v=1");
    await engine.tiffinOk("volume", "rm", "kept");
  });
});
