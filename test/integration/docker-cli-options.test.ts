/** What docker's options make of a container, as seen from inside it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skip: docker's options: ${obstacle}`);

let engine: EngineFixture;

/** Output of a shell command in a container that docker runs with the options given. */
async function inside(options: readonly string[], script: string): Promise<string> {
  return await engine.dockerOk("run", "--rm", ...options, "busybox", "sh", "-c", script);
}

describe.skipIf(obstacle !== undefined)("docker run", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  describe("environment and process", () => {
    test("-e and --env-file: a value, one of the client's, one removed, comments", async () => {
      const file = join(engine.directory, "env");
      writeFileSync(file, "# a comment\nFROM_FILE=a b=c\n\nPASSED\nABSENT\n");
      const { stdout, status } = await engine.docker(
        [
          "run",
          "--rm",
          "-e",
          "A=1",
          "-e",
          "A=2",
          "-e",
          "TAKEN",
          "--env-file",
          file,
          "busybox",
          "env",
        ],
        { env: { TAKEN: "from the client", PASSED: "too" } },
      );
      expect(status).toBe(0);
      const lines = stdout.trim().split("\n");
      for (const line of [
        "A=2",
        "TAKEN=from the client",
        "FROM_FILE=a b=c",
        "PASSED=too",
        "HOME=/root",
      ]) {
        expect(lines).toContain(line);
      }
      expect(lines.some((line) => line.startsWith("ABSENT"))).toBe(false);
      expect(lines.filter((line) => line.startsWith("A=")).length).toBe(1);
      expect(stdout).toMatch(/^PATH=\/usr\/local\/sbin:/m);
      expect(stdout).toMatch(/^HOSTNAME=[0-9a-f]{12}$/m);
    });

    test("-w: a working directory, made when it is missing; a relative one is refused", async () => {
      expect(await inside(["-w", "/tmp"], "pwd")).toBe("/tmp");
      expect(await inside(["-w", "/made/for/it"], "pwd; stat -c %u:%g .")).toBe(
        "/made/for/it\n0:0",
      );
      const { status, stderr } = await engine.docker(["run", "--rm", "-w", "x", "busybox", "pwd"]);
      expect(status).toBe(125);
      expect(stderr).toContain("needs to be an absolute path");
    });

    test("-u: by name, by id, with a group, and who does not exist", async () => {
      expect(await inside(["-u", "ann"], "id; echo $HOME")).toBe(
        "uid=1000(ann) gid=1000(ann) groups=50(staff),1000(ann)\n/home/ann",
      );
      expect(await inside(["-u", "1001"], "id")).toMatch(/^uid=1001\(bob\) gid=1001\(bob\)/);
      expect(await inside(["-u", "4711:50"], "id -u; id -g; id -G")).toBe("4711\n50\n50");
      expect(await inside(["-u", "ann:audio"], "id -u; id -gn; id -G")).toBe("1000\naudio\n29");
      expect(await inside(["-u", "4711"], "id -g; echo $HOME")).toBe("0\n/");
      const { status, stderr } = await engine.docker(["run", "--rm", "-u", "eve", "busybox", "id"]);
      expect(stderr).toContain("nable to find user eve");
      expect(status).toBe(125);
      expect((await engine.docker(["run", "--rm", "-u", "ann:nix", "busybox", "id"])).status).toBe(
        125,
      );
    });

    test("--group-add: by name and id, added to the user's own", async () => {
      const groups = await inside(
        ["-u", "ann", "--group-add", "audio", "--group-add", "4712"],
        "id -G",
      );
      expect(
        groups
          .split(" ")
          .map(Number)
          .toSorted((a, b) => a - b),
      ).toEqual([29, 50, 1000, 4712]);
    });

    test("--entrypoint replaces the image's and is given the arguments", async () => {
      const words = ["--entrypoint", "echo", "busybox", "-n", "a", "b"];
      expect(await engine.dockerOk("run", "--rm", ...words)).toBe("a b");
    });

    test("--hostname is in the kernel, in /etc/hosts and in the environment", async () => {
      const told = await inside(
        ["--hostname", "tin.example"],
        "hostname; cat /etc/hostname; echo $HOSTNAME; grep -q tin.example /etc/hosts && echo there",
      );
      expect(told).toBe("tin.example\ntin.example\ntin.example\nthere");
    });

    test("--init: a small init is process 1, and passes on the status", async () => {
      const names = await inside(["--init"], "cat /proc/1/comm; echo $$");
      expect(names).toMatch(/init\n[2-9]$/);
      const { status } = await engine.docker([
        "run",
        "--rm",
        "--init",
        "busybox",
        "sh",
        "-c",
        "exit 9",
      ]);
      expect(status).toBe(9);
    });

    test("--init reaps orphans", async () => {
      const script = "sh -c 'sleep 0.1 & exit'; sleep 0.5; ps -o stat,comm | grep -c Z";
      expect(
        (await engine.docker(["run", "--rm", "--init", "busybox", "sh", "-c", script])).stdout,
      ).toBe("0\n");
    });

    test("--ulimit: soft and hard", async () => {
      const told = await inside(
        ["--ulimit", "nofile=100:200", "--ulimit", "core=0"],
        "ulimit -Sn; ulimit -Hn; ulimit -c",
      );
      expect(told).toBe("100\n200\n0");
    });

    test("--sysctl: of the container's namespaces only", async () => {
      const before = readFileSync("/proc/sys/kernel/msgmax", "utf8");
      const told = await inside(
        ["--sysctl", "kernel.msgmax=12345", "--sysctl", "net.ipv4.ip_forward=1"],
        "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward",
      );
      expect(told).toBe("12345\n1");
      expect(readFileSync("/proc/sys/kernel/msgmax", "utf8")).toBe(before);
      const words = ["--sysctl", "kernel.panic=1", "busybox", "true"];
      expect((await engine.docker(["run", "--rm", ...words])).status).toBe(125);
    });

    test("--label, --stop-signal and --stop-timeout are kept", async () => {
      const words = [
        "--label",
        "a=b",
        "--label",
        "empty",
        "--stop-signal",
        "USR1",
        "--stop-timeout",
        "3",
      ];
      const id = await engine.dockerOk("create", ...words, "busybox", "true");
      const format = "{{json .Config.Labels}} {{.Config.StopSignal}} {{.Config.StopTimeout}}";
      expect(await engine.dockerOk("inspect", "-f", format, id)).toBe(
        '{"a":"b","empty":""} USR1 3',
      );
      await engine.dockerOk("rm", id);
    });
  });

  describe("files", () => {
    test("--read-only: the root cannot be written, its tmpfs can", async () => {
      const script = "touch /x 2>&1; touch /tmp/x && echo ok; touch /dev/shm/x && echo ok";
      const told = await inside(["--read-only", "--tmpfs", "/tmp"], script);
      expect(told).toBe("touch: /x: Read-only file system\nok\nok");
    });

    test("--tmpfs: with docker's options, and others", async () => {
      const told = await inside(
        ["--tmpfs", "/t", "--tmpfs", "/u:size=64k,mode=700,uid=1000,exec"],
        "grep ' /[tu] ' /proc/mounts; stat -c '%a %u' /t /u; df -k /u | tail -1",
      );
      const [t = "", u = "", modeT, modeU, size] = told.split("\n");
      for (const word of ["nosuid", "nodev", "noexec"]) expect(t).toContain(word);
      expect(u).toContain("nosuid");
      expect(u).not.toContain("noexec");
      expect([modeT, modeU]).toEqual(["1777 0", "700 1000"]);
      expect(size).toMatch(/\b64\b/);
    });

    test("-v: a host directory, written from inside as the same owner; :ro", async () => {
      const source = join(engine.directory, "bound");
      mkdirSync(source);
      writeFileSync(join(source, "hers"), "text");
      chownSync(join(source, "hers"), 1000, 1000);
      const script =
        "stat -c %u /b/hers; touch /b/mine; chown 1001 /b/mine; touch /ro/x 2>&1 || true";
      const told = await inside(["-v", `${source}:/b`, "-v", `${source}:/ro:ro`], script);
      expect(told).toContain("Read-only file system");
      expect(told).toContain("1000");
      expect(statSync(join(source, "mine")).uid).toBe(1001);
    });

    test("-v: a file; a missing source is made; --mount's must exist", async () => {
      const file = join(engine.directory, "file");
      writeFileSync(file, "of the host\n");
      expect(await inside(["-v", `${file}:/etc/motd`], "cat /etc/motd")).toBe("of the host");
      const missing = join(engine.directory, "missing/below");
      expect(await inside(["-v", `${missing}:/m`], "ls -d /m")).toBe("/m");
      expect(statSync(missing).isDirectory()).toBe(true);
      const mount = `type=bind,source=${engine.directory}/nowhere,target=/m`;
      const { status, stderr } = await engine.docker([
        "run",
        "--rm",
        "--mount",
        mount,
        "busybox",
        "true",
      ]);
      expect(status).toBe(125);
      expect(stderr).toContain("bind source path does not exist");
    });

    test("--mount: bind read-only, tmpfs with size and mode", async () => {
      const source = join(engine.directory, "mounted");
      mkdirSync(source);
      writeFileSync(join(source, "x"), "1\n");
      const told = await inside(
        [
          "--mount",
          `type=bind,source=${source},target=/b,readonly`,
          "--mount",
          "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=750",
        ],
        "cat /b/x; touch /b/y 2>&1; stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'",
      );
      expect(told).toBe("1\ntouch: /b/y: Read-only file system\n750\n1024");
    });

    test("a mount's target that leads out of the root stays inside", async () => {
      const tree = join(engine.directory, "linked");
      mkdirSync(join(tree, "bin"), { recursive: true });
      const made = await engine.start("sh", [
        "-c",
        `cp -a ${engine.directory}/busybox/. ${tree}/ && ln -s ../../../../../../tmp ${tree}/out && tar -C ${tree} -c . | docker import - linked`,
      ]).ended;
      expect(made.status).toBe(0);
      const source = join(engine.directory, "mounted");
      const told = await engine.dockerOk(
        "run",
        "--rm",
        "-v",
        `${source}:/out`,
        "linked",
        "ls",
        "/tmp",
      );
      expect(told).toBe("x");
    });

    test("--shm-size", async () => {
      expect(
        await inside(["--shm-size", "2m"], "df -k /dev/shm | tail -1 | awk '{print $2}'"),
      ).toBe("2048");
      expect(await inside([], "df -k /dev/shm | tail -1 | awk '{print $2}'")).toBe("65536");
    });

    test("/dev holds docker's devices and links, and they work", async () => {
      const script =
        "ls /dev; echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; for link in fd stdout ptmx; do readlink /dev/$link; done";
      const told = (await inside([], script)).split("\n");
      for (const name of [
        "fd",
        "full",
        "mqueue",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
      ]) {
        expect(told).toContain(name);
      }
      expect(told.slice(-5)).toEqual(["3", "3", "/proc/self/fd", "/proc/self/fd/1", "pts/ptmx"]);
    });

    test("/etc/hosts, hostname and resolv.conf are there and can be written", async () => {
      const script =
        "cat /etc/hosts; echo '1.2.3.4 x' >>/etc/hosts && tail -1 /etc/hosts; ls /etc/resolv.conf";
      const told = await inside([], script);
      expect(told).toContain("127.0.0.1\tlocalhost");
      expect(told).toContain("1.2.3.4 x\n/etc/resolv.conf");
    });
  });
});
