/** Images go between Tiffin and skopeo, umoci and docker: file for file (modes, owners, times, xattrs), and bit for bit. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { engineObstacle, openEngineFixture, type EngineFixture, until } from "./engine-fixture.ts";
import { openRegistry, type RegistryFixture, registryObstacle } from "./registry-fixture.ts";

const missing = ["umoci", "skopeo", "getfattr", "setfattr", "setcap"].filter(
  (program) => Bun.which(program) === null,
);
const obstacle =
  engineObstacle ??
  registryObstacle ??
  (missing.length > 0 ? `this needs ${missing.join(", ")}` : undefined);
if (obstacle !== undefined) console.log(`skipped: exchange of images: ${obstacle}`);

/** A root file system with what archives and layers may lose. */
const FILL = `
  mkdir -p rootfs/bin rootfs/etc rootfs/var/empty
  cp "$(command -v busybox)" rootfs/bin/busybox && ln -s busybox rootfs/bin/sh
  setcap cap_net_raw+ep rootfs/bin/busybox
  echo one > rootfs/etc/one && ln rootfs/etc/one rootfs/etc/other
  echo secret > rootfs/etc/shadow && chmod 0640 rootfs/etc/shadow && chown 0:42 rootfs/etc/shadow
  echo s > rootfs/bin/s && chown 7:8 rootfs/bin/s && chmod 6755 rootfs/bin/s
  chmod 1777 rootfs/var/empty && chown 1000:1001 rootfs/var/empty
  printf x > "rootfs/etc/$(printf 'n\\303\\244me with space')"
  printf y > rootfs/etc/$(printf 'l%.0s' $(seq 200))
  setfattr -n user.note -v kept rootfs/etc/one
  mkfifo rootfs/etc/pipe
  ln -s /nowhere rootfs/etc/dangling
  touch -h -d '2001-02-03T04:05:06Z' rootfs/etc/dangling
  find rootfs -depth ! -type l -exec touch -d '2001-02-03T04:05:06Z' {} +`;

/** One line for each file: type, mode, owner, size, time, links, target, xattrs and content. */
const LIST = `
  find . -mindepth 1 -printf '%P %y %m %U:%G %Ts %n %l\\n' | LC_ALL=C sort
  find . -mindepth 1 -type f -exec sha256sum {} + | LC_ALL=C sort
  getfattr -Rh -d -m '^(user|security.capability)' . 2>/dev/null | LC_ALL=C sort`;

describe.skipIf(obstacle !== undefined)("images go between Tiffin and", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    sh(FILL);
  }, 120_000);

  afterAll(async () => {
    await registry?.close();
    await engine?.close();
  });

  function sh(script: string, cwd = "."): string {
    const ran = Bun.spawnSync(["sh", "-ec", script], { cwd: `${engine.directory}/${cwd}` });
    const stderr = ran.exitCode === 0 ? "" : ran.stderr.toString();
    expect({ script, status: ran.exitCode, stderr }).toEqual({ script, status: 0, stderr: "" });
    return ran.stdout.toString();
  }

  const rawDigest = (name: string): string =>
    sh(`skopeo inspect --raw --tls-verify=false docker://${name} | sha256sum`).slice(0, 64);

  /** The files of an image as umoci unpacks them. */
  function unpacked(source: string): string {
    sh(`rm -rf ex bundle && skopeo copy -q --src-tls-verify=false ${source} oci:ex:it
        umoci unpack --image ex:it bundle`);
    return sh(LIST, "bundle/rootfs");
  }

  test("umoci: what Tiffin imports, pushes and saves has all that the files had", async () => {
    const name = `${registry.host}/ours:1`;
    const wanted = sh(LIST, "rootfs");
    sh(`tar --xattrs --xattrs-include='*' -C rootfs -cf rootfs.tar .`);
    await engine.tiffinOk("import", `${engine.directory}/rootfs.tar`, name);
    await engine.tiffinOk("push", name);
    expect(unpacked(`docker://${name}`)).toBe(wanted);
    await engine.tiffinOk("save", "-o", `${engine.directory}/ours.tar`, name);
    expect(unpacked("docker-archive:ours.tar")).toBe(wanted);
    expect(unpacked("oci-archive:ours.tar")).toBe(wanted);
    await engine.tiffinOk("rmi", name);
  });

  test("umoci: what it made, in two layers, comes in with all files, and goes out with the same digests", async () => {
    const name = `${registry.host}/theirs`;
    sh(`rm -rf lay made && umoci init --layout lay && umoci new --image lay:it
        umoci unpack --image lay:it made && cp -a rootfs/. made/rootfs/ && umoci repack --image lay:it made
        rm made/rootfs/etc/other && echo new > made/rootfs/etc/new && umoci repack --refresh-bundle --image lay:it made
        umoci config --image lay:it --config.cmd /bin/sh
        skopeo copy -q --dest-tls-verify=false oci:lay:it docker://${name}:1`);
    const wanted = unpacked(`docker://${name}:1`);
    await engine.tiffinOk("pull", `${name}:1`);
    await engine.tiffinOk("tag", `${name}:1`, `${name}-again:2`);
    await engine.tiffinOk("push", `${name}-again:2`);
    expect(rawDigest(`${name}-again:2`)).toBe(rawDigest(`${name}:1`));
    await engine.tiffinOk("save", "-o", `${engine.directory}/theirs.tar`, `${name}:1`);
    expect(unpacked("oci-archive:theirs.tar")).toBe(wanted);
    // By tag and digest at once, the digest decides; and by the digest alone.
    const digest = `sha256:${rawDigest(`${name}:1`)}`;
    for (const mark of [`:other@${digest}`, `@${digest}`]) {
      for (const program of ["tiffin", "docker"] as const) {
        await engine.tiffinOk("rmi", "-f", `${name}:1`, `${name}-again:2`).catch(() => undefined);
        expect(await engine[program](["pull", "-q", `${name}${mark}`])).toMatchObject({
          status: 0,
        });
        const shown = await engine[`${program}Ok`](
          "inspect",
          "-f",
          "{{.RepoDigests}}",
          `${name}${mark}`,
        );
        expect(shown).toContain(`${name}@${digest}`);
      }
    }
  });

  test.skipIf(Bun.which("dockerd") === null)(
    "docker: images go round through registry and archives, and stay the same bit for bit",
    async () => {
      const daemon = await openDockerd(engine.directory);
      try {
        const docker = (...args: string[]): string => {
          const ran = Bun.spawnSync(["docker", ...args], {
            env: { ...process.env, ...daemon.env },
          });
          const stderr = ran.exitCode === 0 ? "" : ran.stderr.toString();
          expect({ args, status: ran.exitCode, stderr }).toEqual({ args, status: 0, stderr: "" });
          return ran.stdout.toString().trim();
        };
        const id = ["image", "inspect", "-f", "{{.Id}}"];
        const at = (file: string): string => `${engine.directory}/${file}`;
        // Docker makes and pushes; Tiffin pulls and pushes on.
        const [theirs, again] = [`${registry.host}/docker:1`, `${registry.host}/again:1`];
        sh(`tar --xattrs --xattrs-include='*' -C rootfs -cf docker.tar .`);
        docker("import", at("docker.tar"), theirs);
        docker("push", theirs);
        await engine.tiffinOk("pull", theirs);
        expect(await engine.tiffinOk(...id, theirs)).toBe(docker(...id, theirs));
        await engine.tiffinOk("tag", theirs, again);
        await engine.tiffinOk("push", again);
        expect(rawDigest(again)).toBe(rawDigest(theirs));
        // An archive of docker's, and one for docker.
        docker("save", "-o", at("saved.tar"), theirs);
        await engine.tiffinOk("rmi", "-f", theirs, again);
        await engine.tiffinOk("load", "-i", at("saved.tar"));
        expect(await engine.tiffinOk(...id, theirs)).toBe(docker(...id, theirs));
        const files = unpacked(`docker://${theirs}`);
        await engine.tiffinOk("save", "-o", at("back.tar"), theirs);
        const before = docker(...id, theirs);
        docker("rmi", "-f", theirs);
        docker("load", "-i", at("back.tar"));
        expect(docker(...id, theirs)).toBe(before);
        // Tiffin makes and pushes; docker pulls.
        const ours = `${registry.host}/tiffin:1`;
        await engine.tiffinOk("import", at("docker.tar"), ours);
        await engine.tiffinOk("push", ours);
        docker("pull", ours);
        expect(docker(...id, ours)).toBe(await engine.tiffinOk(...id, ours));
        expect(unpacked(`docker://${ours}`)).toBe(files);
      } finally {
        await daemon.close();
      }
    },
    120_000,
  );
});

/** Docker's own engine on a root of its own, without network and containers. */
async function openDockerd(
  directory: string,
): Promise<{ env: { DOCKER_HOST: string }; close: () => Promise<void> }> {
  const at = (name: string): string => `${directory}/dockerd/${name}`;
  const host = `unix://${at("sock")}`;
  const places = ["--data-root", at("data"), "--exec-root", at("exec"), "-p", at("pid")];
  const plain = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"];
  const daemon = Bun.spawn(["dockerd", "-H", host, ...places, ...plain], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const env = { DOCKER_HOST: host };
  const answers = async (): Promise<boolean> =>
    Bun.spawnSync(["docker", "version"], { env: { ...process.env, ...env } }).exitCode === 0;
  await until("dockerd answers", answers);
  return {
    env,
    close: async () => {
      daemon.kill("SIGTERM");
      await daemon.exited;
      // Namespaces that it keeps for the next one.
      Bun.spawnSync(["sh", "-c", `umount "$1"/netns/* 2>/dev/null; true`, "sh", at("exec")]);
      rmSync(`${directory}/dockerd`, { recursive: true, force: true });
    },
  };
}
