/**
 * One container through all rooms, seen from inside, on whichever cgroup version and kernel the host has: here and in the
 * virtual machine's lane (scripts/test-vm).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { engineObstacle, type EngineFixture, openEngineFixture } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: containers: ${engineObstacle}`);

interface Hello {
  readonly pid: number;
  readonly processes: number;
  readonly uid: number;
  readonly uidMap: string;
  readonly memory: number;
  readonly cpu: number;
  readonly pids: number;
  readonly layers: number;
  readonly seccomp: number;
  readonly CapEff: string;
  readonly userNamespace: string;
}

describe.skipIf(engineObstacle !== undefined)("a container", () => {
  let engine: EngineFixture;
  const inside = (...command: string[]): Promise<string> =>
    engine.tiffinOk("run", "--rm", "busybox", ...command);

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, 120_000);

  afterAll(async () => {
    await engine.close();
  }, 60_000);

  test("of the built-in image tells its limits, layers and ids from the kernel", async () => {
    const text = await engine.tiffinOk(
      "run",
      "--rm",
      "--memory",
      "64m",
      "--cpus",
      "0.5",
      "--pids-limit",
      "32",
      "hello",
      "--json",
    );
    const hello = JSON.parse(text) as Hello;
    expect(hello).toMatchObject({ pid: 1, processes: 1, uid: 0, layers: 2, seccomp: 2 });
    expect(hello).toMatchObject({ memory: 64 * 1024 * 1024, cpu: 500, pids: 32 });
    expect(hello.uidMap).toMatch(/^0 \d{10} 65536$/);
  });

  test("sees itself as root of its own ids while the host sees nobody's", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    const pid = await engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", id);
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
    expect(uid).toBeGreaterThanOrEqual(0x70000000);
    expect(await engine.tiffinOk("exec", id, "id", "-u")).toBe("0");
    await engine.tiffinOk("rm", "-f", id);
  });

  test("that runs out of memory dies alone, and is told as such", async () => {
    const ran = await engine.tiffin([
      "run",
      "--name",
      "oom",
      "--memory",
      "20m",
      "busybox",
      "sh",
      "-c",
      "dd if=/dev/zero of=/dev/shm/x bs=1M count=60",
    ]);
    expect(ran.status).toBe(137);
    expect(await engine.tiffinOk("inspect", "-f", "{{.State.OOMKilled}}", "oom")).toBe("true");
    await engine.tiffinOk("rm", "oom");
  });

  test("that exits by itself was not killed for memory", async () => {
    const ran = await engine.tiffin([
      "run",
      "--name",
      "fine",
      "--memory",
      "20m",
      "busybox",
      "sh",
      "-c",
      "exit 3",
    ]);
    expect(ran.status).toBe(3);
    expect(await engine.tiffinOk("inspect", "-f", "{{.State.OOMKilled}}", "fine")).toBe("false");
    await engine.tiffinOk("rm", "fine");
  });

  test("cannot have more processes than its limit", async () => {
    const ran = await engine.tiffin([
      "run",
      "--rm",
      "--pids-limit",
      "5",
      "busybox",
      "sh",
      "-c",
      "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait",
    ]);
    expect(ran.stderr).toContain("can't fork");
  });

  test("may open the usual devices and no others, also through a bind of the host's", async () => {
    expect(await inside("sh", "-c", "echo x > /dev/null && head -c 4 /dev/zero | wc -c")).toBe("4");
    const kmsg = await engine.tiffin([
      "run",
      "--rm",
      "-v",
      "/dev:/host",
      "busybox",
      "head",
      "-c",
      "1",
      "/host/kmsg",
    ]);
    expect(kmsg.status).not.toBe(0);
  });

  test("finds the kernel's knobs masked or read-only", async () => {
    const write = await engine.tiffin([
      "run",
      "--rm",
      "busybox",
      "sh",
      "-c",
      "echo 1 > /proc/sys/kernel/panic",
    ]);
    expect(write.status).not.toBe(0);
    expect(await inside("sh", "-c", "cat /proc/keys /proc/timer_list | wc -c")).toBe("0");
  });

  test("keeps what it wrote between two runs, and the image does not change", async () => {
    await engine.tiffinOk(
      "run",
      "--name",
      "kept",
      "busybox",
      "sh",
      "-c",
      "echo once >> /file; mkdir /d; chown 5:6 /d",
    );
    await engine.tiffinOk("start", "-a", "kept");
    await engine.tiffinOk("rm", "kept");
    expect((await engine.tiffin(["run", "--rm", "busybox", "cat", "/file"])).status).toBe(1);
  });

  test("deletes and renames what the image holds", async () => {
    expect(
      await inside(
        "sh",
        "-c",
        "rm /etc/group && mv /etc/passwd /etc/moved && ls /etc/group; cat /etc/moved | head -n 1",
      ),
    ).toMatch(/^root:/);
  });

  test("has clocks of its own with --time-offset", async () => {
    const uptime = await engine.tiffinOk(
      "run",
      "--rm",
      "--time-offset",
      "240h",
      "busybox",
      "cat",
      "/proc/uptime",
    );
    const host = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(Number(uptime.split(" ")[0]) - host).toBeGreaterThan(240 * 3600 - 60);
  });

  test("joins another one's network, and shares its ids", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    const ns = (path: string): string => `readlink /proc/self/ns/${path}`;
    const first = await engine.tiffinOk(
      "exec",
      id,
      "sh",
      "-c",
      `${ns("net")}; ${ns("user")}; ${ns("mnt")}`,
    );
    const second = await engine.tiffinOk(
      "run",
      "--rm",
      "--network",
      `container:${id}`,
      "busybox",
      "sh",
      "-c",
      `${ns("net")}; ${ns("user")}; ${ns("mnt")}`,
    );
    const [net, user, mnt] = first.split("\n");
    const [otherNet, otherUser, otherMnt] = second.split("\n");
    expect([otherNet, otherUser]).toEqual([net, user]);
    expect(otherMnt).not.toBe(mnt);
    await engine.tiffinOk("rm", "-f", id);
  });
});
