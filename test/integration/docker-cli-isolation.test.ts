/** What confines a container that docker's client makes: privileges, namespaces, limits, as seen from inside it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skip: docker's isolation: ${obstacle}`);

let engine: EngineFixture;
const itself = (namespace: string) => readlinkSync(`/proc/self/ns/${namespace}`);

/** Output of a shell command in a container that docker runs with the options given. */
async function inside(options: readonly string[], script: string): Promise<string> {
  return await engine.dockerOk("run", "--rm", ...options, "busybox", "sh", "-c", script);
}

/** Fields of /proc/self/status of the container's own process. */
async function statusOf(...options: string[]): Promise<Readonly<Record<string, string>>> {
  const text = await engine.dockerOk(
    "run",
    "--rm",
    ...options,
    "busybox",
    "cat",
    "/proc/self/status",
  );
  return Object.fromEntries(
    text.split("\n").map((line) => line.split(/:\t/, 2) as [string, string]),
  );
}

describe.skipIf(obstacle !== undefined)("docker run", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  describe("privileges", () => {
    test("by default: docker's 14 capabilities, seccomp, no view of the host's files", async () => {
      const status = await statusOf();
      expect(status["CapEff"]).toBe("00000000a80425fb");
      expect(status["CapBnd"]).toBe("00000000a80425fb");
      expect(status["CapInh"]).toBe("0000000000000000");
      expect(status["CapAmb"]).toBe("0000000000000000");
      expect(status["Seccomp"]).toBe("2");
      expect(status["NoNewPrivs"]).toBe("0");
      const script =
        "cat /proc/kcore 2>&1 | wc -c; ls /proc/scsi /sys/firmware; echo 1 >/proc/sys/kernel/panic; echo b >/proc/sysrq-trigger; mount -t tmpfs x /mnt";
      const told = await engine.docker(["run", "--rm", "busybox", "sh", "-c", script]);
      expect(told.stderr).toMatch(/panic: (Read-only file system|Permission denied)/);
      if (existsSync("/proc/sysrq-trigger"))
        expect(told.stderr).toMatch(/sysrq-trigger: Read-only/);
      expect(told.status).not.toBe(0);
    });

    test("a plain user has no capabilities but may gain them", async () => {
      const status = await statusOf("-u", "ann");
      expect(status["CapEff"]).toBe("0000000000000000");
      expect(status["CapBnd"]).toBe("00000000a80425fb");
    });

    test("--cap-add and --cap-drop", async () => {
      const bits = async (...options: string[]) =>
        BigInt(`0x${(await statusOf(...options))["CapEff"]}`);
      expect(await bits("--cap-drop", "ALL")).toBe(0n);
      expect(
        await bits("--cap-drop", "all", "--cap-add", "NET_RAW", "--cap-add", "cap_chown"),
      ).toBe((1n << 13n) | 1n);
      expect(await bits("--cap-drop", "CHOWN")).toBe(0xa80425fan);
      expect(await bits("--cap-add", "SYS_ADMIN")).toBe(0xa80425fbn | (1n << 21n));
      const all = await bits("--cap-add", "ALL");
      expect(all & 0x1ffffffffffn).toBe(0x1ffffffffffn);
      const wrong = ["--cap-add", "NO_SUCH", "busybox", "true"];
      expect((await engine.docker(["run", "--rm", ...wrong])).status).toBe(125);
    });

    test("with SYS_ADMIN a mount works, and nothing of it is on the host", async () => {
      expect(
        await inside(["--cap-add", "SYS_ADMIN"], "mkdir -p /mnt; mount -t tmpfs x /mnt && echo ok"),
      ).toBe("ok");
    });

    test("--privileged: all capabilities, no seccomp, nothing masked, the host's devices", async () => {
      const status = await statusOf("--privileged");
      // All that the engine has.
      const ours = readFileSync("/proc/self/status", "utf8");
      expect(status["CapEff"]).toBe(/CapBnd:\t(.*)/.exec(ours)?.[1] ?? "");
      expect(status["Seccomp"]).toBe("0");
      const told = await inside(
        ["--privileged"],
        "ls /dev | wc -l; grep -c ' /proc/' /proc/mounts || true",
      );
      const [devices = "0", masked] = told.split("\n");
      expect(Number(devices)).toBeGreaterThan(15);
      expect(masked ?? "0").toBe("0");
    });

    test("--security-opt: no-new-privileges, seccomp=unconfined, a profile", async () => {
      expect((await statusOf("--security-opt", "no-new-privileges"))["NoNewPrivs"]).toBe("1");
      expect((await statusOf("--security-opt", "no-new-privileges=false"))["NoNewPrivs"]).toBe("0");
      expect((await statusOf("--security-opt", "seccomp=unconfined"))["Seccomp"]).toBe("0");
      const profile = join(engine.directory, "profile.json");
      const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 117 };
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] }));
      const options = ["--security-opt", `seccomp=${profile}`];
      expect(await inside(options, "mkdir /x 2>&1; ls -d /tmp")).toBe(
        "mkdir: can't create directory '/x': Structure needs cleaning\n/tmp",
      );
      const words = ["--security-opt", "no=such", "busybox", "true"];
      expect((await engine.docker(["run", "--rm", ...words])).status).toBe(125);
    });

    test("--device: a device of the host, at its own or another path", async () => {
      const told = await inside(
        ["--device", "/dev/full:/dev/brimming", "--device", "/dev/net/tun"],
        "stat -c '%F %t,%T' /dev/brimming /dev/net/tun; echo x 2>&1 >/dev/brimming || true",
      );
      expect(told).toContain("character special file 1,7\ncharacter special file a,c8");
      expect(told).toContain("No space left on device");
      const words = ["--device", "/dev/no-such", "busybox", "true"];
      const { status, stderr } = await engine.docker(["run", "--rm", ...words]);
      // docker's client takes "no such file or directory" for a missing command.
      expect(status).toBe(127);
      expect(stderr).toContain("/dev/no-such");
    });

    test("a device that was not given cannot be made usable", async () => {
      const { rdev } = lstatSync("/dev/null");
      expect(rdev).toBeGreaterThan(0);
      const script = "mknod /x b 254 0 2>&1; cat /x 2>&1 | head -c 1 | wc -c";
      expect(await inside([], script)).toMatch(/\n0$|not permitted/);
    });
  });

  describe("namespaces", () => {
    const namespaces = ["pid", "mnt", "uts", "ipc", "net", "user", "cgroup"];

    /** Of these, the ones that a container shares with the host. */
    async function shared(...options: string[]): Promise<string[]> {
      const links = await inside(
        options,
        `cd /proc/self/ns; for n in ${namespaces.join(" ")}; do readlink $n; done`,
      );
      const own = links.split("\n");
      return namespaces.filter((name, index) => own[index] === itself(name));
    }

    test("by default it has one of its own of each", async () => {
      expect(await shared()).toEqual([]);
    });

    test("--pid, --ipc, --uts, --userns, --cgroupns, --network host", async () => {
      // Some imply the host's user namespace (docs/guide/user-namespace.md); docker's default of cgroupns depends on the host.
      const others = async (...options: string[]) =>
        (await shared("--cgroupns", "private", ...options)).join();
      expect(await others("--pid", "host")).toBe("pid,user");
      expect(await others("--ipc", "host")).toBe("ipc");
      expect(await others("--uts", "host")).toBe("uts");
      expect(await others("--userns", "host")).toBe("user");
      expect(await others("--network", "host")).toBe("net,user");
      expect(await shared("--cgroupns", "host")).toEqual(["cgroup"]);
    });

    test("--pid host sees the host's processes, --uts and --network host its name", async () => {
      expect(await inside(["--pid", "host"], `ls -d /proc/${process.pid}`)).toBe(
        `/proc/${process.pid}`,
      );
      expect(await inside(["--uts", "host"], "hostname")).toBe(hostname());
      expect(await inside(["--network", "host"], "hostname; ls /sys/class/net | grep -c lo")).toBe(
        `${hostname()}\n1`,
      );
    });

    test("root inside is nobody on the host, and --userns host is root", async () => {
      const [inner, outer] = (await inside([], "cat /proc/self/uid_map"))
        .trim()
        .split(/\s+/)
        .map(Number);
      expect(inner).toBe(0);
      expect(outer).toBeGreaterThan(65_535);
      expect(
        (await inside(["--userns", "host"], "cat /proc/self/uid_map")).trim().split(/\s+/),
      ).toEqual(["0", "0", "4294967295"]);
    });

    test("--network none has nothing but the loopback", async () => {
      expect(
        await inside(
          ["--network", "none"],
          "ls /sys/class/net; ping -c 1 -W 5 127.0.0.1 >/dev/null && echo ok",
        ),
      ).toBe("lo\nok");
    });

    test("container: shares another's network, processes and IPC", async () => {
      await engine.dockerOk(
        "run",
        "-d",
        "--name",
        "first",
        "--ipc",
        "shareable",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "ipcmk -M 4096 2>/dev/null; echo x >/dev/shm/y; exec sleep 1000",
      );
      const read = "for n in net pid ipc; do readlink /proc/self/ns/$n; done";
      const first = await engine.dockerOk("exec", "first", "sh", "-c", read);
      const options = [
        "--network",
        "container:first",
        "--pid",
        "container:first",
        "--ipc",
        "container:first",
      ];
      expect(await inside(options, read)).toBe(first);
      expect(await inside(options, "cat /proc/1/comm; cat /dev/shm/y; hostname")).toBe(
        `sleep\nx\n${await engine.dockerOk("exec", "first", "hostname")}`,
      );
      await engine.dockerOk("kill", "first");
      const { status, stderr } = await engine.docker([
        "run",
        "--rm",
        "--network",
        "container:first",
        "busybox",
        "true",
      ]);
      expect(status).toBe(125);
      expect(stderr).toContain("is not running");
      expect(
        (await engine.docker(["run", "--rm", "--pid", "container:no-such", "busybox", "true"]))
          .status,
      ).toBe(125);
      await engine.dockerOk("rm", "first");
    });
  });

  describe("limits", () => {
    /** Reads the container's own files, of v1 or v2. */
    const limit = async (options: string[], v1: string, v2: string): Promise<string> =>
      await inside(options, `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`);

    test("--memory and --memory-swap", async () => {
      const options = ["--memory", "32m", "--memory-swap", "48m"];
      expect(await limit(options, "memory/memory.limit_in_bytes", "memory.max")).toBe(
        String(32 << 20),
      );
      expect(await limit(options, "memory/memory.memsw.limit_in_bytes", "memory.swap.max")).toMatch(
        new RegExp(`^(${48 << 20}|${16 << 20})$`),
      );
    });

    test("--cpus, --cpu-shares and --cpuset-cpus", async () => {
      expect(await limit(["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "cpu.max")).toMatch(/^50000\b/);
      expect(await limit(["--cpu-shares", "512"], "cpu/cpu.shares", "cpu.weight")).toMatch(
        /^(512|20|59)$/,
      );
      expect(await limit(["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "cpuset.cpus")).toBe("0");
      expect((await statusOf("--cpuset-cpus", "0"))["Cpus_allowed_list"]).toBe("0");
      expect(
        (await engine.docker(["run", "--rm", "--cpuset-cpus", "4096", "busybox", "true"])).status,
      ).toBe(125);
      expect(
        (await engine.docker(["run", "--rm", "--cpus", "4096", "busybox", "true"])).status,
      ).toBe(125);
    });

    test("--pids-limit holds", async () => {
      expect(await limit(["--pids-limit", "20"], "pids/pids.max", "pids.max")).toBe("20");
      const script = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done";
      const { status, stderr } = await engine.docker([
        "run",
        "--rm",
        "--pids-limit",
        "20",
        "busybox",
        "sh",
        "-c",
        script,
      ]);
      expect(stderr).toMatch(/can't fork/);
      expect(status).not.toBe(0);
    });

    test("out of memory: 137 and OOMKilled, and only then", async () => {
      const oom = await engine.docker([
        "run",
        "--name",
        "hungry",
        "--memory",
        "20m",
        "--memory-swap",
        "20m",
        "busybox",
        "awk",
        'BEGIN { s = "x"; while (1) s = s s }',
      ]);
      expect(oom.status).toBe(137);
      const format = "{{.State.OOMKilled}} {{.State.ExitCode}}";
      expect(await engine.dockerOk("inspect", "-f", format, "hungry")).toBe("true 137");
      await engine.dockerOk(
        "run",
        "-d",
        "--name",
        "killed",
        "--memory",
        "20m",
        "busybox",
        "sleep",
        "1000",
      );
      await engine.dockerOk("kill", "killed");
      await engine.dockerOk("wait", "killed");
      expect(await engine.dockerOk("inspect", "-f", format, "killed")).toBe("false 137");
      await engine.dockerOk("rm", "hungry", "killed");
    });
  });
});
