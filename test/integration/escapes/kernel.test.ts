/** Attacks on the kernel's doors: system calls by all their numbers, devices, knobs, control groups, name spaces in name spaces. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { ERRNO } from "../../../src/base/errno.ts";
import { syscallNumber } from "../../../src/base/syscall-number.ts";
import { type AttackFixture, attackObstacle, openAttackFixture } from "./attack-fixture.ts";

if (attackObstacle !== undefined) console.log(`skipped: attacks on the kernel: ${attackObstacle}`);

const isX64 = process.arch === "x64";
const NEWUSER = 0x10000000;
const EPERM = `errno ${ERRNO.EPERM}`;
const ENOSYS = `errno ${ERRNO.ENOSYS}`;

/** Calls with harmless arguments: where the filter lets them through, the kernel finds fault with those. */
const REFUSED: readonly (readonly [call: string, ...args: number[]])[] = [
  ["add_key", 0, 0, 0, 0, 0],
  ["bpf", 0, 0, 0],
  ["delete_module", 0, 0],
  ["finit_module", -1, 0, 0],
  ["fsopen", 0, 0],
  ["init_module", 0, 0, 0],
  ["io_uring_enter", -1, 0, 0, 0, 0],
  ["io_uring_register", -1, 0, 0, 0],
  ["io_uring_setup", 8, 0],
  ["kexec_file_load", -1, -1, 0, 0, 0],
  ["kexec_load", 0, 1000, 0, 0],
  ["keyctl", 0, -3, 0],
  ["mount", 0, 0, 0, 0, 0],
  ["move_mount", -1, 0, -1, 0, 0],
  ["move_pages", 0, 1, 0, 0, 0, 0],
  ["open_by_handle_at", -1, 0, 0],
  ["open_tree", -1, 0, 0],
  ["perf_event_open", 0, 0, -1, -1, 0],
  ["pivot_root", 0, 0],
  ["quotactl", 0, 0, 0, 0],
  ["reboot", 0, 0, 0, 0],
  ["request_key", 0, 0, 0, 0],
  ["setns", -1, 0],
  ["swapon", 0, 0],
  ["syslog", 3, 0, 0],
  ["umount2", 0, 0],
  ["unshare", NEWUSER],
  ["userfaultfd", 0],
  ["personality", 0x40000],
  ["socket", 38, 5, 0],
  ["socket", 40, 1, 0],
];

describe.skipIf(attackObstacle !== undefined)("the kernel's doors", () => {
  let attack: AttackFixture;

  beforeAll(async () => {
    attack = await openAttackFixture();
  });
  afterAll(async () => await attack.close());

  /** Makes the calls in one container; what each gave, in order. */
  async function tryCalls(
    options: readonly string[],
    calls: readonly (readonly [abi: string, number: number, ...args: (number | string)[]])[],
  ): Promise<string[]> {
    const script = calls.map((words) => `try-call ${words.join(" ")} 2>&1 || echo status $?`);
    return (await attack.told(options, script.join("\n"))).trim().split("\n");
  }

  describe("system calls", () => {
    const numbered = REFUSED.map(
      ([call, ...args]) =>
        ["native", syscallNumber(call, isX64 ? "x64" : "arm64"), ...args] as const,
    );

    test("that reach beyond a container are refused, whoever's ids it has", async () => {
      for (const options of [[], ["--userns=host"], ["--cap-add=NET_ADMIN"]]) {
        const told = await tryCalls(options, numbered);
        expect(REFUSED.map(([call], index) => `${call} ${told[index]}`)).toEqual(
          REFUSED.map(([call]) => `${call} ${EPERM}`),
        );
      }
    });

    test("are refused by the filter, not for their arguments", async () => {
      const told = await tryCalls(["--privileged"], numbered);
      const same = REFUSED.filter((_, index) => told[index] === EPERM).map(([call]) => call);
      expect(same).toEqual([]);
    });

    test("by unknown numbers are answered as an older kernel does", async () => {
      const numbers = [600, 999, 1 << 20, 0x3fffffff, 0x7fffffff, -2];
      const told = await tryCalls(
        [],
        numbers.map((number) => ["native", number] as const),
      );
      expect(told).toEqual(numbers.map(() => ENOSYS));
    });

    test.skipIf(!isX64)("by x32 numbers are answered as a kernel without them does", async () => {
      // getpid, ptrace, keyctl, those of x32 alone (execve, ptrace, process_vm_writev), and mount.
      const numbers = [39, 101, 250, 520, 521, 540, 165];
      const told = await tryCalls(
        [],
        numbers.map((number) => ["x32", number] as const),
      );
      expect(told).toEqual(numbers.map(() => ENOSYS));
    });

    test("that make a name space are refused; clone3, whose flags are hidden, does not exist", async () => {
      const clone = syscallNumber("clone", isX64 ? "x64" : "arm64");
      const flags = [NEWUSER, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000];
      const calls = flags.map((flag) => ["native", clone, flag | 17] as const);
      expect(await tryCalls([], calls)).toEqual(flags.map(() => EPERM));
      expect(await tryCalls([], [["native", 435, 0, 0]])).toEqual([ENOSYS]);
    });

    test("to sockets of the hypervisor and the ciphers are refused with bits set above the family", async () => {
      const socket = syscallNumber("socket", isX64 ? "x64" : "arm64");
      const calls = [38, 40].map(
        (family) => ["native", socket, `0x1000000${family.toString(16)}`, 5, 0] as const,
      );
      expect(await tryCalls([], calls)).toEqual([EPERM, EPERM]);
    });
  });

  describe("user name spaces", () => {
    test("are not made inside of one, but without the filter", async () => {
      const script =
        "unshare -U true && echo MADE; unshare -Ur sh -c 'mount -t tmpfs x /tmp' && echo MADE";
      expect(await attack.told([], script)).not.toContain("MADE");
      expect(
        await attack.told(["--security-opt", "seccomp=unconfined"], "unshare -U true && echo MADE"),
      ).toContain("MADE");
    });

    test("give no power over what lies outside of them", async () => {
      const open = ["--security-opt", "seccomp=unconfined"];
      const script =
        "unshare -Ur sh -c 'echo x >/proc/sys/kernel/core_pattern; mknod /tmp/m c 1 1; hostname stolen; cat /dev/mem; echo 1 >/proc/self/oom_score_adj; dmesg' 2>&1 | grep -v denied; hostname";
      const told = await attack.told([...open, "--hostname", "mine"], script);
      expect(told.trim().split("\n").at(-1)).toBe("mine");
    });
  });

  describe("devices", () => {
    const disk = statSync("/").dev;
    const [major, minor] = [(disk >> 8) & 0xfff, (disk & 0xff) | ((disk >> 12) & 0xfff00)];
    const nodes = [
      ["mem", "c 1 1"],
      ["port", "c 1 4"],
      ["kmsg", "c 1 11"],
      ["tun", "c 10 200"],
      ["fuse", "c 10 229"],
      ["loop-control", "c 10 237"],
      ["disk", `b ${major} ${minor}`],
    ] as const;
    const script = nodes
      .map(
        ([name, numbers]) =>
          `mknod /n-${name} ${numbers} && { (: </n-${name}) && echo OPENED ${name}; (: >>/n-${name}) && echo OPENED ${name}; }`,
      )
      .join("\n");

    test("of the host are not to be had by making their nodes", async () => {
      for (const options of [
        [],
        ["--userns=host"],
        ["--cap-add=SYS_ADMIN", "--cap-add=SYS_RAWIO"],
      ]) {
        const told = await attack.told(options, script);
        expect([options, told.match(/OPENED .*/g)]).toEqual([options, null]);
        expect(told).toMatch(/not permitted/);
      }
      expect(await attack.told(["--privileged"], script)).toContain("OPENED kmsg");
    });

    test("are not brought by a bind of the host's /dev", async () => {
      const names = ["mem", "kmsg", "loop-control"].filter((name) => existsSync(`/dev/${name}`));
      const tries = names.map((name) => `(: </host/${name}) && echo OPENED ${name}`).join("\n");
      for (const options of [[], ["--userns=host"]]) {
        expect(await attack.told(["-v", "/dev:/host", ...options], tries)).not.toContain("OPENED");
      }
    });
  });

  describe("the kernel's knobs", () => {
    const knobs = [
      "/proc/sys/kernel/core_pattern",
      "/proc/sys/kernel/modprobe",
      "/proc/sys/kernel/panic",
      "/proc/sys/vm/panic_on_oom",
      "/proc/sys/fs/binfmt_misc/register",
      "/proc/sysrq-trigger",
      "/proc/irq/default_smp_affinity",
      "/sys/kernel/uevent_helper",
      "/sys/kernel/mm/transparent_hugepage/enabled",
      "/sys/module/printk/parameters/time",
    ].filter((path) => existsSync(path));
    // Opened for writing, never written to.
    const script = knobs.map((path) => `(: >>${path}) && echo OPENED ${path}`).join("\n");

    test("cannot be opened for writing: core_pattern, modprobe, sysrq-trigger and their like", async () => {
      for (const options of [[], ["--userns=host"]]) {
        expect(await attack.told(options, script)).not.toContain("OPENED");
      }
      expect(await attack.told(["--privileged"], script)).toContain(
        "OPENED /proc/sys/kernel/core_pattern",
      );
    });

    test("tell nothing of the kernel's log", async () => {
      for (const options of [[], ["--userns=host"]]) {
        expect(
          await attack.told(options, "dmesg && echo READ; cat /dev/kmsg /proc/kmsg && echo READ"),
        ).not.toContain("READ");
      }
      expect(await attack.told(["--privileged"], "dmesg >/dev/null && echo READ")).toContain(
        "READ",
      );
    });
  });

  describe("control groups", () => {
    const mountV1 =
      "mkdir /c; for t in rdma misc memory devices pids; do mount -t cgroup -o $t none /c && echo MOUNTED && mkdir /c/evil && echo MADE; done";
    const release =
      "find /c /sys/fs/cgroup -name release_agent 2>/dev/null | while read f; do (: >>$f) && echo OPENED; done; for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do mkdir $d/evil && echo MADE; done";

    test("release_agent is out of reach, also for a container that may mount (CVE-2022-0492)", async () => {
      const told = await attack.told([], `${mountV1}; ${release}`);
      expect(told).not.toMatch(/MOUNTED|OPENED|MADE/);
      const powerful = await attack.told(["--cap-add=SYS_ADMIN"], `${mountV1}; ${release}`);
      expect(powerful).not.toContain("OPENED");
      const nested = `unshare -UrC sh -c '${mountV1}; ${release}'`;
      expect(await attack.told(["--security-opt", "seccomp=unconfined"], nested)).not.toContain(
        "OPENED",
      );
    });

    test("show a container its own alone", async () => {
      const own = await attack.told([], "cat /proc/self/cgroup");
      const paths = own
        .trim()
        .split("\n")
        .map((line) => line.split(":")[2]);
      expect(new Set(paths)).toEqual(new Set(["/"]));
      expect(
        await attack.told(
          [],
          "ls -d /sys/fs/cgroup/*/tiffin /sys/fs/cgroup/tiffin 2>/dev/null; true",
        ),
      ).toBe("");
    });
  });

  test("a file of the host cannot be opened by its handle (shocker)", async () => {
    const { engine, marker, secret } = attack;
    const named = Bun.spawnSync([attack.program("file-handle"), "name", marker]);
    const handle = named.stdout.toString().trim();
    expect(handle).toMatch(/^\d+ [0-9a-f]+$/);
    const script = `file-handle open /near/near ${handle}`;
    await Bun.write(`${engine.directory}/near`, "");
    const near = ["-v", `${engine.directory}/near:/near/near`];
    const attempts = [
      [],
      ["--userns=host"],
      ["--cap-add=DAC_READ_SEARCH"],
      ["--cap-add=DAC_READ_SEARCH", "--security-opt", "seccomp=unconfined"],
    ];
    for (const options of attempts) {
      expect(await attack.told([...near, ...options], script)).not.toContain(secret);
    }
    const given = await attack.told(
      [...near, "--userns=host", "--cap-add=DAC_READ_SEARCH"],
      script,
    );
    expect(given).toContain(secret);
  });
});
