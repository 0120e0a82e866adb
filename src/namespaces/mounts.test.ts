import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type Register, register } from "../base/operation.ts";
import { CLONE, MNT_DETACH, O } from "../kernel/flags.ts";
import { perform } from "../kernel/perform.ts";
import { syscall } from "../kernel/syscall.ts";
import { deviceNumber, planDev, planOutsideDevices } from "./devices.ts";
import { ownerMapText } from "./id-range.ts";
import {
  attachMounts,
  planCgroupMounts,
  planJoinedMemory,
  planMessageQueues,
  planPrivateTree,
  planProc,
  planSharedMemory,
  planSysfs,
  planTerminals,
} from "./kernel-mounts.ts";
import {
  READ_ONLY_PATHS,
  maskedPaths,
  planMaskMaterial,
  planMasks,
  planReadOnlyPaths,
} from "./masked-paths.ts";
import {
  type DetachedMount,
  openTarget,
  orderMounts,
  planReadOnlyRoot,
} from "./mount-operations.ts";
import { type BindRequest, planBind, planTmpfs } from "./user-mounts.ts";

/*
 * The planners held against the kernel. Mounting happens in a mount namespace of its own: the tests run in a second
 * process, which this file starts.
 */
const INSIDE = "TIFFIN_TEST_MOUNT_NAMESPACE";
const isInside = process.env[INSIDE] !== undefined;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: tests that mount (not root)");

if (!isInside && isRoot)
  describe("planners of mounts", () => {
    test("do what they say, in a mount namespace of its own", () => {
      const child = Bun.spawnSync([process.execPath, "test", import.meta.path], {
        env: { ...process.env, [INSIDE]: "1" },
        stdout: "pipe",
        stderr: "pipe",
      });
      if (child.exitCode !== 0) console.log(child.stderr.toString());
      expect(child.exitCode).toBe(0);
    }, 60_000);
  });

describe("orderMounts()", () => {
  const mount = (target: string, what: string): DetachedMount => ({
    mount: register(what),
    target,
    side: "container",
    make: [],
    what,
    targetKind: "directory",
  });

  test("puts parents first and keeps the given order beside", () => {
    const ordered = orderMounts(
      [mount("/dev/pts", "pts"), mount("/proc", "proc"), mount("/dev", "dev")],
      [mount("/data/in", "in"), mount("/data", "data")],
    );
    expect(ordered.map((one) => one.what)).toEqual(["proc", "dev", "data", "pts", "in"]);
  });

  test("lets what the user asked for take the place of the usual", () => {
    const ordered = orderMounts([mount("/dev/shm", "shm")], [mount("/dev//shm/", "mine")]);
    expect(ordered.map((one) => one.what)).toEqual(["mine"]);
  });
});

describe("planTmpfs()", () => {
  test("refuses what docker refuses", () => {
    const plan = (options: string[]): unknown =>
      planTmpfs({ target: "/t", options, readOnly: false }, 0);
    expect(() => plan(["size=1x"])).toThrow(/invalid tmpfs option "size=1x"/);
    expect(() => plan(["bind"])).toThrow(/invalid tmpfs option/);
    expect(() => plan(["mode=9"])).toThrow(/invalid tmpfs option/);
  });
});

describe("deviceNumber()", () => {
  test("is the kernel's encoding, also beyond 8 bits", () => {
    expect(deviceNumber(1, 3)).toBe(0x103);
    expect(deviceNumber(136, 300)).toBe(0x10882c);
  });
});

if (isInside)
  describe("in a mount namespace", () => {
    let work = "";
    let root = "";
    let registers = new Map<string, number>();
    const at = (path: string): string => `${root}${path}`;
    const rootRegister = register("root");

    function mountAll(mounts: readonly DetachedMount[]): void {
      for (const mount of mounts) perform(mount.make, registers);
      perform(attachMounts(mounts, rootRegister), registers);
    }

    function mountInfo(path: string): string {
      const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
      return lines.filter((line) => line.split(" ")[4] === at(path)).at(-1) ?? "";
    }

    beforeAll(() => {
      syscall("unshare", CLONE.NEWNS);
      perform(planPrivateTree());
      work = mkdtempSync("/var/tmp/tiffin-mounts.");
      root = `${work}/root`;
      mkdirSync(root);
      // Not below /tmp: a tmpfs cannot be idmapped before Linux 6.3.
      // The tests use paths beside the descriptor, so the root is attached.
      mountTmpfs(root);
      registers = new Map([["root", openSync(root, O.PATH | O.DIRECTORY)]]);
    });

    afterAll(() => {
      syscall("umount2", root, MNT_DETACH);
      syscall("umount2", `${work}/source/below`, MNT_DETACH);
      rmSync(work, { recursive: true, force: true });
    });

    function mountTmpfs(path: string): void {
      syscall("mount", "tmpfs", path, "tmpfs", 0, null);
    }

    test("openTarget() makes directories and files, and finds what is there", () => {
      const open = (path: string, kind: DetachedMount["targetKind"]): void =>
        void perform(openTarget({ root: rootRegister, path, kind, result: "t" }), registers);
      open("/a/b/c", "directory");
      open("/a/b/file", "file");
      open("/a/b/file", "file");
      open("/", "directory");
      expect(lstatSync(at("/a/b/c")).isDirectory()).toBe(true);
      expect(lstatSync(at("/a/b/file")).isFile()).toBe(true);
      expect(() => open("/missing", "existing")).toThrow(/Cannot find \/missing: openat2: ENOENT/);
      expect(() => open("/a/b/file/x", "directory")).toThrow(/ENOTDIR/);
    });

    test("openTarget() leaves no way out of the root", () => {
      const outside = `${work}/outside`;
      mkdirSync(outside);
      mkdirSync(at("/links"));
      mkdirSync(at("/tmp"));
      symlinkSync(outside, at("/links/absolute"));
      symlinkSync("../../../../../../tmp", at("/links/up"));
      symlinkSync(`/proc/self/fd/${openSync(outside, "r")}`, at("/links/magic"));
      mountAll([planProc()]);
      perform(
        openTarget({ root: rootRegister, path: "/links/up/made", kind: "directory", result: "t" }),
        registers,
      );
      expect(existsSync(at("/tmp/made"))).toBe(true);
      expect(existsSync("/tmp/made")).toBe(false);
    });

    test.each(["/links/absolute/made", "/links/magic/made"])(
      "openTarget() refuses to make %s",
      (path) => {
        expect(() =>
          perform(
            openTarget({ root: rootRegister, path, kind: "directory", result: "t" }),
            registers,
          ),
        ).toThrow(/EEXIST|ELOOP/);
        expect(readdirSync(`${work}/outside`)).toEqual([]);
      },
    );

    test("a container's usual mounts are where they belong", () => {
      mountAll([
        planSysfs({ hostNetwork: false, writable: false }),
        planDev({ idBase: 100_000, devices: [], console: true }),
        planTerminals(),
        planMessageQueues(),
        planSharedMemory(1 << 20),
      ]);
      expect(mountInfo("/sys")).toMatch(/ ro,nosuid,nodev,noexec.* - sysfs sysfs /);
      expect(mountInfo("/dev")).toMatch(
        / rw,nosuid .*- tmpfs tmpfs .*size=65536k,mode=755,uid=100000,gid=100000/,
      );
      expect(mountInfo("/dev/pts")).toMatch(
        / rw,nosuid,noexec.* - devpts devpts rw,gid=5,mode=620,ptmxmode=666/,
      );
      expect(mountInfo("/dev/mqueue")).toMatch(/ - mqueue mqueue /);
      expect(mountInfo("/dev/shm")).toMatch(/ rw,nosuid,nodev,noexec.* - tmpfs shm rw,size=1024k/);
      expect(statSync(at("/dev/shm")).mode & 0o7777).toBe(0o1777);
      expect(readlinkSync(at("/dev/ptmx"))).toBe("pts/ptmx");
      const nothing = statSync(at("/dev/null"));
      expect([
        nothing.isCharacterDevice(),
        nothing.rdev,
        nothing.mode & 0o777,
        nothing.uid,
        nothing.gid,
      ]).toEqual([true, 0x103, 0o666, 100_000, 100_000]);
      expect(lstatSync(at("/dev/stdin")).uid).toBe(100_000);
      expect(lstatSync(at("/dev/console")).isFile()).toBe(true);
      writeFileSync(at("/dev/null"), "x");
    });

    test("devices of the user get their directories, and paths elsewhere a bind", () => {
      mkdirSync(at("/other"));
      const fuse = {
        path: "/dev/bus/usb/fuse",
        type: "c",
        major: 10,
        minor: 229,
        mode: 0o600,
        uid: 0,
        gid: 7,
      } as const;
      mountAll([
        { ...planDev({ idBase: 5, devices: [fuse], console: false }), target: "/other/dev" },
      ]);
      const status = statSync(at("/other/dev/bus/usb/fuse"));
      expect([status.mode & 0o777, status.uid, status.gid]).toEqual([0o600, 5, 12]);
      mountAll(planOutsideDevices([{ hostPath: "/dev/zero", containerPath: "/opt/zero" }]));
      expect(statSync(at("/opt/zero")).rdev).toBe(0x105);
      const bad = { ...fuse, path: "/dev/../etc/x" };
      expect(() => planDev({ idBase: 0, devices: [bad], console: false })).toThrow(
        /not plain and absolute/,
      );
    });

    test("sensitive paths are hidden or read-only", () => {
      const masked = maskedPaths([]).filter(({ path }) => existsSync(path));
      perform(planMaskMaterial(masked), registers);
      const places = { root: rootRegister, mounts: new Map<string, Register>() };
      perform(planReadOnlyPaths(READ_ONLY_PATHS, places), registers);
      perform(planMasks(masked, places), registers);
      for (const { path, kind } of masked) {
        if (!existsSync(at(path))) continue;
        if (kind === "directory") expect(readdirSync(at(path))).toEqual([]);
        else
          expect([
            path,
            statSync(at(path)).isCharacterDevice(),
            readFileSync(at(path), "utf8"),
          ]).toEqual([path, true, ""]);
      }
      expect(mountInfo("/sys/firmware")).toMatch(/ ro,nosuid,nodev,noexec/);
      expect(() => writeFileSync(at("/proc/sys/kernel/hostname"), "x")).toThrow(/EROFS/);
    });

    test("cgroups show one file system on v2, and a directory each on v1", () => {
      mkdirSync(at("/here"));
      const hybrid = / - cgroup \S+ \S*\bmemory\b/.test(
        readFileSync("/proc/self/mountinfo", "utf8"),
      );
      const hierarchies = hybrid
        ? [
            { directory: "memory", options: ["memory"] },
            { directory: "unified", options: [] },
          ]
        : null;
      const mounts = planCgroupMounts(hierarchies, false);
      mountAll(mounts);
      const last = hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
      expect(mountInfo(last)).toMatch(/ ro,nosuid,nodev,noexec.* - cgroup2 cgroup2 /);
      expect(existsSync(at(`${last}/cgroup.procs`))).toBe(true);
      if (hybrid) expect(existsSync(at("/sys/fs/cgroup/memory/cgroup.procs"))).toBe(true);
    });

    test("a tmpfs has docker's defaults, and takes options", () => {
      mountAll([
        planTmpfs({ target: "/t1", options: [], readOnly: false }, 1),
        planTmpfs(
          {
            target: "/t2",
            options: ["size=64k", "mode=750", "uid=7", "exec", "suid"],
            readOnly: true,
          },
          2,
        ),
      ]);
      expect(mountInfo("/t1")).toMatch(/ rw,nosuid,nodev,noexec/);
      expect(statSync(at("/t1")).mode & 0o7777).toBe(0o1777);
      expect(mountInfo("/t2")).toMatch(/ ro,nodev,relatime .*size=64k,mode=750,uid=7/);
    });

    const bind: BindRequest = {
      source: "",
      target: "",
      sourceKind: "directory",
      readOnly: false,
      propagation: "",
      recursive: true,
      idmap: null,
      idmapRequired: false,
    };

    test("a bind takes along what is mounted below, read-only all through when asked", () => {
      const source = `${work}/source`;
      mkdirSync(`${source}/below`, { recursive: true });
      mountTmpfs(`${source}/below`);
      writeFileSync(`${source}/below/file`, "x");
      mountAll([planBind({ ...bind, source, target: "/bound", readOnly: true }, 1)]);
      expect(readFileSync(at("/bound/below/file"), "utf8")).toBe("x");
      expect(() => writeFileSync(at("/bound/below/file"), "y")).toThrow(/EROFS/);
      mountAll([
        planBind(
          { ...bind, source: `${source}/below/file`, sourceKind: "file", target: "/one/file" },
          2,
        ),
      ]);
      expect(readFileSync(at("/one/file"), "utf8")).toBe("x");
      mountAll([planBind({ ...bind, source, target: "/alone", recursive: false }, 3)]);
      expect(readdirSync(at("/alone/below"))).toEqual([]);
      expect(() =>
        mountAll([
          planBind(
            { ...bind, source: `${source}/below/file`, sourceKind: "file", target: "/bound/.." },
            4,
          ),
        ]),
      ).toThrow(/Cannot mount .* move_mount/);
      expect(() => planBind({ ...bind, source, propagation: "rpublic" }, 5)).toThrow(
        /there is no propagation "rpublic"/,
      );
      expect(() => mountAll([planBind({ ...bind, source: "/no/such", target: "/x" }, 6)])).toThrow(
        /Cannot open \/no\/such to bind it/,
      );
    });

    /** A user namespace with the map, as a descriptor. */
    function userNamespace(map: string): number {
      const child = Bun.spawn(["unshare", "-U", "sh", "-c", "echo ready; read line"], {
        stdin: "pipe",
        stdout: "pipe",
      });
      const own = readlinkSync("/proc/self/ns/user");
      while (readlinkSync(`/proc/${child.pid}/ns/user`) === own) Bun.sleepSync(2);
      writeFileSync(`/proc/${child.pid}/uid_map`, map);
      writeFileSync(`/proc/${child.pid}/gid_map`, map);
      const fd = openSync(`/proc/${child.pid}/ns/user`, "r");
      child.kill(9);
      return fd;
    }

    test("an idmapped bind shows the owners of the disk in the container's range, where the file system can", () => {
      const source = `${work}/owned`;
      mkdirSync(source);
      writeFileSync(`${source}/file`, "x");
      chownSync(`${source}/file`, 1000, 33);
      mkdirSync(`${source}/proc`);
      registers.set("userns", userNamespace("0 100000 65536\n"));
      mountAll([planBind({ ...bind, source, target: "/mapped", idmap: register("userns") }, 7)]);
      expect([statSync(at("/mapped/file")).uid, statSync(at("/mapped/file")).gid]).toEqual([
        101_000, 100_033,
      ]);
      // With something below that cannot be mapped, only that stays as it is.
      syscall("mount", "proc", `${source}/proc`, "proc", 0, null);
      mountAll([planBind({ ...bind, source, target: "/mapped2", idmap: register("userns") }, 8)]);
      expect(statSync(at("/mapped2/file")).uid).toBe(101_000);
      expect(statSync(at("/mapped2/proc/version")).uid).toBe(0);
      mountAll([
        planBind({ ...bind, source: "/proc", target: "/mapped3", idmap: register("userns") }, 9),
      ]);
      expect(statSync(at("/mapped3/version")).uid).toBe(0);
      syscall("umount2", `${source}/proc`, MNT_DETACH);
    });

    test("a bind for the owner pairs host's and container's user both ways", () => {
      const source = `${work}/mine`;
      mkdirSync(source);
      chownSync(source, 1000, 1000);
      registers.set("userns", userNamespace(ownerMapText({ owner: 1000, user: 0, base: 100_000 })));
      const request = {
        ...bind,
        source,
        target: "/mine",
        idmap: register("userns"),
        idmapRequired: true,
      };
      mountAll([planBind(request, 10)]);
      expect(statSync(at("/mine")).uid).toBe(100_000);
      expect(() => mountAll([planBind({ ...request, source: "/proc", target: "/p" }, 11)])).toThrow(
        /Cannot make the owner of \/proc and the container's user one: mount_setattr: EINVAL/,
      );
    });

    test("the host's shared memory and /sys can be given", () => {
      mkdirSync(at("/host"));
      mountAll([
        { ...planJoinedMemory("/dev/shm"), target: "/host/shm" },
        { ...planSysfs({ hostNetwork: true, writable: false }), target: "/host/sys" },
      ]);
      expect(mountInfo("/host/sys")).toMatch(/ ro,nosuid,nodev,noexec.* - sysfs /);
      expect(readdirSync(at("/host/sys/fs/cgroup"))).toEqual([]);
    });

    test("a read-only root leaves what is mounted in it writable", () => {
      perform(planReadOnlyRoot(rootRegister), registers);
      expect(() => writeFileSync(at("/x"), "")).toThrow(/EROFS/);
      writeFileSync(at("/t1/x"), "");
    });
  });
