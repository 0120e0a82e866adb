/** Copying from and to containers: what is in the archives, whose files they are, what may not be written, and containers that attack. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tarArchive } from "../../src/layers/tar-writer.ts";
import { callApi } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: archives of containers: ${obstacle}`);
const TIMEOUT_MS = 120_000;

let engine: EngineFixture;
const docker = (...args: string[]) => engine.dockerOk(...args);
const inside = (script: string) => engine.tiffinOk("exec", "box", "sh", "-ec", script);

async function start(...words: string[]): Promise<void> {
  await docker(
    "run",
    "-d",
    "--name",
    "box",
    "--network",
    "none",
    ...words,
    "busybox",
    "sleep",
    "10000",
  );
}

/** The archive of a path, from the API. */
async function archiveOf(path: string): Promise<{ status: number; bytes: Buffer }> {
  const url = `http://tiffin/containers/box/archive?path=${encodeURIComponent(path)}`;
  const response = await fetch(url, { unix: engine.socket, keepalive: false } as RequestInit);
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

function put(path: string, archive: Uint8Array, query = ""): ReturnType<typeof callApi> {
  const place = `/containers/box/archive?path=${encodeURIComponent(path)}${query}`;
  return callApi(engine, "PUT", place, archive);
}

/** What GNU tar reads in an archive: `-rwxr-xr-x 0/0 5 a/b`, without the times. */
async function listed(bytes: Uint8Array): Promise<string[]> {
  const tar = engine.start("tar", ["--numeric-owner", "-tvf", "-"], { env: { LC_ALL: "C" } });
  tar.write(bytes);
  tar.endInput();
  const { status, stdout, stderr } = await tar.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/ +/g, " ").replace(/ \d{4}-\d\d-\d\d \d\d:\d\d/, ""));
}

const ZOO = `mkdir -p /zoo/empty /zoo/deep/er; cd /zoo
echo plain > plain; chmod 4755 plain; echo owned > owned; chown 1000:50 owned; chmod 640 owned
ln plain second-name; ln -s plain link; ln -s /etc/passwd absolute; mkfifo pipe; chmod 1777 empty
head -c 3000000 /dev/urandom > large; dd if=/dev/zero of=holes bs=1 count=1 seek=200000 2>/dev/null
echo long > $(printf 'n%.0s' $(seq 200)); printf x > "$(printf 'not-utf8-\\377')"; echo 'a b' > 'with space'`;

describe.skipIf(obstacle !== undefined)("an archive of a container's files", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);
  afterEach(async () => await engine.removeContainers());
  afterAll(async () => await engine.close(), TIMEOUT_MS);

  test(
    "holds what the container's own tar would, and unpacks to the same",
    async () => {
      await start();
      await inside(ZOO);
      const { bytes } = await archiveOf("/zoo");
      const ours = await listed(bytes);
      const packed = await engine.start("docker", ["exec", "box", "tar", "-C", "/", "-c", "zoo"])
        .ended;
      const theirs = await listed(packed.bytes);
      const plain = (lines: string[]) =>
        lines
          .map((line) =>
            line.replace(/^h/, "-").replace(/ \d+ zoo\/(plain|second-name).*/, " zoo/$1"),
          )
          .toSorted();
      expect(plain(ours)).toEqual(plain(theirs));
      expect(ours.filter((line) => line.startsWith("h"))).toEqual([
        "hrwsr-xr-x 0/0 0 zoo/second-name link to zoo/plain",
      ]);
      expect((await archiveOf("/zoo")).bytes.equals(bytes)).toBe(true);
      expect((await put("/tmp", bytes)).status).toBe(200);
      const sums = (path: string) =>
        inside(`cd ${path}; find . -type f -print0 | sort -z | xargs -0 md5sum`);
      expect(await sums("/tmp/zoo")).toBe(await sums("/zoo"));
      expect(
        await inside(
          "stat -c %a:%u:%g:%F /tmp/zoo/owned /tmp/zoo/plain /tmp/zoo/empty /tmp/zoo/pipe",
        ),
      ).toBe("640:1000:50:regular file\n4755:0:0:regular file\n1777:0:0:directory\n644:0:0:fifo");
      expect(await inside("stat -c %h /tmp/zoo/plain; readlink /tmp/zoo/absolute")).toBe(
        "2\n/etc/passwd",
      );
    },
    TIMEOUT_MS,
  );

  test("gives files the archive's owners, with -a those of the container's user, and refuses ids that it lacks", async () => {
    await start("--user", "ann");
    const file = { type: "file", path: "f", content: "x" } as const;
    const stat = () => docker("exec", "-u", "0", "box", "stat", "-c", "%u:%g", "/tmp/f");
    expect((await put("/tmp", tarArchive([{ ...file, uid: 1001, gid: 50 }]))).status).toBe(200);
    expect(await stat()).toBe("1001:50");
    const local = join(engine.directory, "f");
    writeFileSync(local, "y");
    await docker("cp", "-a", local, "box:/tmp/f");
    expect(await stat()).toBe("1000:1000");
    await engine.tiffinOk("cp", local, "box:/tmp/f");
    expect(await stat()).toBe("0:0");
    const { status, text } = await put("/tmp", tarArchive([{ ...file, uid: 70_000 }]));
    expect({ status, text }).toMatchObject({ status: 400, text: expect.stringContaining("70000") });
  });

  test("keeps file capabilities, which hold in the container", async () => {
    if (Bun.which("setcap") === null || Bun.which("getfattr") === null) {
      console.log("skipped: file capabilities: this needs setcap and getfattr");
      return;
    }
    await start();
    const script = `cd ${engine.directory}; mkdir -p caps; cp /bin/true caps/t; setcap cap_net_raw+ep caps/t
tar --xattrs --xattrs-include='security.*' -C caps -cf - t | docker cp - box:/tmp
docker cp box:/tmp/t - | tar --xattrs --xattrs-include='*' -C caps --transform s/t/u/ -xf -
for f in t u; do getfattr -n security.capability -e hex --only-values --absolute-names caps/$f | od -An -tx1; done`;
    const { stdout, stderr } = await engine.start("sh", ["-ec", script]).ended;
    const [before, after, ...rest] = stdout
      .trim()
      .split("\n")
      .join(" ")
      .split(/(?=01 00 00 02)/);
    expect({
      before,
      after,
      rest,
      stderr: stderr.replace(/^Successfully.*\n/gm, ""),
    }).toMatchObject({ stderr: "", rest: [] });
    expect(after?.trim()).toBe(before?.trim() ?? "");
  });

  test("is refused where nothing may be written: a read-only root, volume, or the kernel's own", async () => {
    await start("--read-only", "-v", `${engine.directory}:/ro:ro`, "-v", "data:/data");
    const archive = tarArchive([{ type: "file", path: "f", content: "x" }]);
    const refused = async (path: string) => {
      const { status, json } = await put(path, archive);
      return { status, message: (json as { message: string }).message };
    };
    for (const state of ["running", "stopped"]) {
      if (state === "stopped") await docker("stop", "-t", "0", "box");
      expect(await refused("/tmp")).toEqual({
        status: 403,
        message: "container rootfs is marked read-only",
      });
      expect(await refused("/ro")).toEqual({
        status: 403,
        message: "mounted volume is marked read-only",
      });
      expect((await put("/data", archive)).status).toBe(200);
      expect(await refused("/etc/passwd")).toEqual({
        status: 400,
        message: "extraction point is not a directory",
      });
      expect(await refused("/nope")).toEqual({
        status: 404,
        message: "Could not find the file /nope in container box",
      });
    }
    await docker("start", "box");
    expect((await refused("/proc")).status).toBe(403);
    expect((await archiveOf("/proc/meminfo")).status).toBe(404);
    expect(await listed((await archiveOf("/proc")).bytes)).toHaveLength(1);
    expect(await docker("volume", "rm", "-f", "none")).toBe("none");
  });

  test("of a container that does not run shows its volumes and binds, and leaves no mount", async () => {
    const shared = join(engine.directory, "shared");
    mkdirSync(join(shared, "below"), { recursive: true });
    writeFileSync(join(shared, "below/file"), "on the host\n");
    const mounts = ["-v", `${shared}:/shared`, "-v", "kept:/kept", "--tmpfs", "/run"];
    await docker(
      "create",
      "--name",
      "box",
      "--network",
      "none",
      ...mounts,
      "busybox",
      "sleep",
      "1000",
    );
    await docker("cp", join(shared, "below/file"), "box:/kept/file");
    await docker("cp", join(shared, "below/file"), "box:/new");
    expect((await listed((await archiveOf("/shared")).bytes)).join(" ")).toContain(
      "shared/below/file",
    );
    expect((await listed((await archiveOf("/kept/file")).bytes)).join(" ")).toContain("file");
    expect((await archiveOf("/etc/hostname")).bytes.toString()).toContain(
      (await docker("inspect", "-f", "{{.Config.Hostname}}", "box")).trim(),
    );
    const mountinfo = readFileSync(`/proc/${engine.pid()}/mountinfo`, "utf8");
    expect(mountinfo).not.toContain(engine.root);
    const namespaces = readdirSync(`/proc/${engine.pid()}/task`).map((task) =>
      Bun.spawnSync(["readlink", `/proc/${engine.pid()}/task/${task}/ns/mnt`]).stdout.toString(),
    );
    expect(new Set(namespaces).size).toBe(1);
    await docker("start", "box");
    expect(await inside("cat /kept/file /new")).toBe("on the host\non the host");
    await engine.removeContainers();
    await docker("volume", "rm", "kept");
  });

  test("that is bad is refused with its reason, also while much of it is still to come", async () => {
    await start();
    const cut = tarArchive([{ type: "file", path: "f", content: "x".repeat(2000) }]).subarray(
      0,
      1000,
    );
    const { status, text } = await put("/tmp", cut);
    expect({ status, text }).toMatchObject({ status: 400, text: expect.stringContaining("ends") });
    const up = tarArchive([{ type: "file", path: "../../up", content: "x" }]);
    expect((await put("/tmp", up)).text).toContain("leads upwards");
    const large = join(engine.directory, "large");
    writeFileSync(large, Buffer.alloc(40_000_000, 1));
    for (const client of [engine.docker, engine.tiffin]) {
      const ran = await client(["cp", large, "box:/no/such/place/"]);
      expect(ran.status).toBe(1);
      const other = await client(["cp", large, "box:/etc/passwd/x"]);
      expect({ status: other.status, told: other.stderr !== "" }).toEqual({
        status: 1,
        told: true,
      });
    }
    rmSync(large);
    expect(await inside("ls /tmp")).toBe("");
  });

  test(
    "never leaves a container that swaps links while it is copied (CVE-2018-15664)",
    async () => {
      await start();
      const host = join(engine.directory, "host-secret");
      mkdirSync(host);
      writeFileSync(join(host, "secret"), "HOST");
      // A directory and a link to the host's one take turns under the name that is copied.
      await inside(
        `mkdir -p /a/real; echo INSIDE > /a/real/secret; ln -s ../../../../../../../..${host} /a/evil`,
      );
      await inside(
        `cd /a; (while :; do mv real dir; mv dir real; mv evil dir; mv dir evil; done) >/dev/null 2>&1 &`,
      );
      const seen = { inside: 0, other: 0 };
      const archive = tarArchive([
        { type: "directory", path: "sub" },
        { type: "file", path: "sub/new", content: "x" },
      ]);
      for (let round = 0; round < 150; round++) {
        const { status, bytes } = await archiveOf(round % 2 === 0 ? "/a/dir/secret" : "/a/dir/.");
        expect(bytes.includes("HOST")).toBe(false);
        if (status === 200 && bytes.includes("INSIDE")) seen.inside += 1;
        else seen.other += 1;
        await put(round % 2 === 0 ? "/a/dir" : "/a", archive);
      }
      expect(readdirSync(host)).toEqual(["secret"]);
      // Both were met: without the race this would have tried nothing.
      expect(seen.inside).toBeGreaterThan(0);
      expect(seen.other).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test(
    "never leaves a container that swaps a directory deep inside of what is copied",
    async () => {
      await start();
      const host = join(engine.directory, "host-deep");
      mkdirSync(join(host, "leaf"), { recursive: true });
      writeFileSync(join(host, "leaf/secret"), "HOST");
      await inside(`mkdir -p /t/a/real/leaf; for i in $(seq 200); do mkdir /t/a/d$i; done; echo INSIDE > /t/a/real/leaf/secret
ln -s ../../../../../../../..${host} /t/a/evil; cd /t/a; (while :; do mv real m; mv m real; mv evil m; mv m evil; done) >/dev/null 2>&1 &`);
      const archive = tarArchive(
        Array.from(
          { length: 200 },
          (_, index) => ({ type: "file", path: `a/m/leaf/${index}`, content: "x" }) as const,
        ),
      );
      for (let round = 0; round < 40; round++) {
        expect((await archiveOf("/t")).bytes.includes("HOST")).toBe(false);
        await put("/t", archive);
      }
      expect(readdirSync(join(host, "leaf"))).toEqual(["secret"]);
    },
    TIMEOUT_MS,
  );

  test("is made without loading anything of the container (CVE-2019-14271)", async () => {
    await start("--user", "ann");
    await docker(
      "exec",
      "-u",
      "0",
      "box",
      "sh",
      "-ec",
      "mkdir -p /lib/x86_64-linux-gnu; echo hosts: files > /etc/nsswitch.conf; for l in libnss_files.so.2 libc.so.6 libz.so.1; do cp /bin/busybox /lib/x86_64-linux-gnu/$l; done; rm /bin/tar; for p in tar unpigz; do cp /bin/busybox /bin/$p; done",
    );
    await docker("cp", "-a", join(engine.directory, "busybox/etc"), "box:/tmp");
    const { bytes } = await archiveOf("/lib");
    expect(bytes.length).toBeGreaterThan(1_000_000);
    const maps = readFileSync(`/proc/${engine.pid()}/maps`, "utf8");
    expect(maps).not.toMatch(/libnss|overlay|containers\/[0-9a-f]{64}/);
  });

  test("can be left at any moment: nothing is held any longer", async () => {
    await start();
    await inside("head -c 60000000 /dev/urandom > /large");
    await docker("stop", "-t", "0", "box");
    const leave = new AbortController();
    const url = "http://tiffin/containers/box/archive?path=/large";
    const response = await fetch(url, { unix: engine.socket, signal: leave.signal } as RequestInit);
    await response.body?.getReader().read();
    leave.abort();
    // While it is read it cannot be started; once the reader has left it can.
    await docker("start", "box");
    expect(await inside("stat -c %s /large")).toBe("60000000");
  });
});
