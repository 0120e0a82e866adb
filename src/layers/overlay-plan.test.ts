import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, type Operand, type Operation, register } from "../base/operation.ts";
import { AT, CLONE, MOVE_MOUNT, O } from "../kernel/flags.ts";
import {
  addressOf,
  cString,
  syscall,
  type SyscallArgument,
  syscallRaw,
} from "../kernel/syscall.ts";
import { type OverlayPlan, planOverlay } from "./overlay-plan.ts";
import { makeWritableLayer } from "./writable-layer.ts";

const hex = (digit: string): string => digit.repeat(64);
const layers = ["a", "b", "c"].map((digit) => `/root/layers/sha256/${hex(digit)}/diff`);
const usual: OverlayPlan = {
  layers,
  writableDirectory: "/root/containers/x/rw",
  userNamespace: register("userns"),
  idBase: 100_000,
  kernel: [6, 18],
};

/** Each call as a line: name and arguments, structures left out. */
function lines(plan: readonly Operation[]): string[] {
  return plan.map((operation) => {
    if (!("call" in operation)) return operation.control;
    const { call: name, args, result } = operation;
    const words = args.map((argument) => {
      if (argument === null || typeof argument !== "object") return String(argument);
      if ("register" in argument) return `<${argument.register}>`;
      return "struct" in argument ? "{}" : "?";
    });
    return `${result === undefined ? "" : `${result} = `}${name} ${words.join(" ")}`;
  });
}

describe("the plan for kernels from 6.15 on", () => {
  test("stacks layers of one store by descriptor on one idmapped clone, the topmost first", () => {
    const directory = O.PATH | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC;
    expect(lines(planOverlay(usual))).toEqual([
      "overlay.shared = open_tree -100 /root/layers/sha256 524289",
      "mount_setattr <overlay.shared>  4096 {} 32",
      `overlay.lower.0 = openat <overlay.shared> ${hex("c")}/diff ${directory} 0`,
      `overlay.lower.1 = openat <overlay.shared> ${hex("b")}/diff ${directory} 0`,
      `overlay.lower.2 = openat <overlay.shared> ${hex("a")}/diff ${directory} 0`,
      "overlay.writable = open_tree -100 /root/containers/x/rw 524289",
      "mount_setattr <overlay.writable>  4096 {} 32",
      `overlay.upper = openat <overlay.writable> upper ${directory} 0`,
      `overlay.work = openat <overlay.writable> work ${directory} 0`,
      "overlay.context = fsopen overlay 1",
      "fsconfig <overlay.context> 1 source tiffin 0",
      "fsconfig <overlay.context> 5 lowerdir+ null <overlay.lower.0>",
      "fsconfig <overlay.context> 5 lowerdir+ null <overlay.lower.1>",
      "fsconfig <overlay.context> 5 lowerdir+ null <overlay.lower.2>",
      "fsconfig <overlay.context> 5 upperdir null <overlay.upper>",
      "fsconfig <overlay.context> 5 workdir null <overlay.work>",
      "fsconfig <overlay.context> 1 index off 0",
      "fsconfig <overlay.context> 1 metacopy off 0",
      "fsconfig <overlay.context> 1 redirect_dir nofollow 0",
      "prctl 28 4 0 0 0",
      "setfsgid 100000",
      "setfsuid 100000",
      "fsconfig <overlay.context> 6 null null 0",
      "setfsuid 0",
      "setfsgid 0",
      "prctl 28 0 0 0 0",
      "rootfs = fsmount <overlay.context> 1 4",
      "faccessat2 <rootfs>  2 4096",
    ]);
  });

  test("maps no ids, keeps devices and stays root when there is no user namespace", () => {
    const { userNamespace: _, ...rest } = usual;
    const plan = lines(planOverlay({ ...rest, idBase: 0 }));
    expect(plan.filter((line) => /mount_setattr|setfs|prctl/.test(line))).toEqual([]);
    expect(plan.at(-2)).toBe("rootfs = fsmount <overlay.context> 1 0");
  });

  test("clones layers that are elsewhere one by one", () => {
    const plan = lines(planOverlay({ ...usual, layers: ["/x/one", layers[0]!] }));
    expect(plan[0]).toBe(`overlay.lower.0 = open_tree -100 ${layers[0]} 524289`);
    expect(plan[2]).toBe("overlay.lower.1 = open_tree -100 /x/one 524289");
  });

  test("sets volatile only when asked", () => {
    expect(lines(planOverlay(usual)).join()).not.toContain("volatile");
    expect(lines(planOverlay({ ...usual, volatile: true }))).toContain(
      "fsconfig <overlay.context> 0 volatile null 0",
    );
  });
});

describe("the plan for older kernels", () => {
  const plan = lines(planOverlay({ ...usual, kernel: [6, 1] }));

  test("mounts in a mount namespace of its own and comes back", () => {
    expect(plan[0]).toStartWith("overlay.host = openat -100 /proc/self/ns/mnt");
    expect(plan[1]).toBe("unshare 131072");
    expect(plan.at(-3)).toBe("setns <overlay.host> 131072");
    expect(plan.at(-1)).toBe("faccessat2 <rootfs>  2 4096");
  });

  test("names layers by short numbers, the topmost first", () => {
    expect(plan).toContain(`symlinkat layers/${hex("c")}/diff -100 0`);
    expect(plan).toContain(`symlinkat layers/${hex("a")}/diff -100 2`);
    const mount = plan.find((line) => line.includes("lowerdir="));
    expect(mount).toBe(
      "mount tiffin root overlay 4 lowerdir=0:1:2,upperdir=rw/upper,workdir=rw/work,index=off,metacopy=off,redirect_dir=nofollow",
    );
  });

  test("fits 500 layers into the page that mount(2) takes", () => {
    const many = Array.from({ length: 500 }, () => layers[0]!);
    const most = lines(planOverlay({ ...usual, layers: many, kernel: [6, 1] }));
    expect(most.find((line) => line.includes("lowerdir="))!.length).toBeLessThan(4000);
  });
});

describe("bounds", () => {
  test("more than 500 layers are refused", () => {
    const many = Array.from({ length: 501 }, () => layers[0]!);
    expect(() => planOverlay({ ...usual, layers: many })).toThrow(
      "Cannot mount 501 layers: overlayfs takes at most 500",
    );
  });

  test("each operation has a reason", () => {
    for (const kernel of [
      [6, 1],
      [6, 18],
    ] as const) {
      expect(planOverlay({ ...usual, kernel }).every(({ reason }) => reason !== "")).toBe(true);
    }
  });
});

/** Runs a plan of plain calls in this thread. */
function run(plan: readonly Operation[], registers: Map<string, number>): void {
  const held: Uint8Array[] = [];
  const word = (operand: Operand): SyscallArgument => {
    if (operand === null || typeof operand !== "object" || operand instanceof Uint8Array)
      return operand;
    if ("register" in operand) return registers.get(operand.register) ?? -1;
    if (!("struct" in operand)) throw new TypeError("an operand that overlay plans do not use");
    const bytes = Buffer.concat(
      operand.struct.map(([width, value]) => {
        const argument = word(value);
        const number =
          typeof argument === "string" || argument instanceof Uint8Array
            ? addressOf(typeof argument === "string" ? cString(argument) : argument)
            : BigInt(argument ?? 0);
        const field = Buffer.alloc(8);
        field.writeBigUInt64LE(number);
        return field.subarray(0, width);
      }),
    );
    held.push(bytes);
    return bytes;
  };
  for (const operation of plan) {
    if (!("call" in operation)) throw new TypeError("a control operation");
    // Only a thread that shares its file system state with no other may change its mount namespace.
    if (operation.call === "setns") syscall("unshare", 0x200);
    const result = syscallRaw(operation.call, ...operation.args.map(word));
    if (result < 0) throw new TypeError(`${operation.reason}: ${operation.call} ${result}`);
    if (operation.result !== undefined) registers.set(operation.result, result);
  }
}

/** A user namespace with ids 0-65535 at 100000, kept by a descriptor only. */
async function userNamespace(): Promise<number> {
  const holder = Bun.spawn(["unshare", "--user", "sleep", "60"]);
  try {
    const path = `/proc/${holder.pid}/ns/user`;
    while (statSync(path).ino === statSync("/proc/self/ns/user").ino) await Bun.sleep(5);
    writeFileSync(`/proc/${holder.pid}/uid_map`, "0 100000 65536");
    writeFileSync(`/proc/${holder.pid}/gid_map`, "0 100000 65536");
    return syscall("openat", AT.FDCWD, path, O.CLOEXEC, 0);
  } finally {
    holder.kill();
  }
}

const inside = process.env["TIFFIN_TEST_PRIVATE_MOUNTS"] === "1";

if (inside) {
  // Nothing that the tests mount reaches the host.
  syscall("unshare", Number(CLONE.NEWNS));
  syscall("mount", null, "/", null, 0x4000 | 0x40000, null);
}

/** These change the process's mounts, so they run in one of its own. */
describe.skipIf(!inside)("run against the kernel", () => {
  const cases = [
    ["by descriptor", [6, 18], true],
    ["by descriptor without a user namespace", [6, 18], false],
    ["staged", [6, 1], true],
    ["staged without a user namespace", [6, 1], false],
  ] as const;
  const [major = 0, minor = 0] = readFileSync("/proc/sys/kernel/osrelease", "utf8")
    .split(/[.-]/)
    .map(Number);

  for (const store of [true, false]) {
    test.each(cases)(
      `the merged tree is as it should be: %s, one store: ${store}`,
      async (_, kernel, mapped) => {
        if (kernel[1] === 18 && (major < 6 || (major === 6 && minor < 15))) return;
        const scratch = mkdtempSync(join(tmpdir(), "tiffin-overlay-"));
        const places = ["low", "mid", "top"].map((name) => {
          const place = store
            ? join(scratch, "sha256", randomBytes(32).toString("hex"), "diff")
            : join(scratch, name);
          mkdirSync(join(place, "etc"), { recursive: true });
          writeFileSync(join(place, "etc/same"), name);
          writeFileSync(join(place, name), name);
          chownSync(join(place, name), 33, 44);
          return place;
        });
        const writable = join(scratch, "rw");
        makeWritableLayer(writable, places[2]);
        const registers = new Map<string, number>();
        const base = mapped ? 100_000 : 0;
        const plan: OverlayPlan = {
          layers: places,
          writableDirectory: writable,
          idBase: base,
          kernel,
        };
        if (mapped) registers.set("userns", await userNamespace());
        const before = readFileSync("/proc/thread-self/mountinfo", "utf8");
        run(planOverlay(mapped ? { ...plan, userNamespace: register("userns") } : plan), registers);
        expect(readFileSync("/proc/thread-self/mountinfo", "utf8")).toBe(before);
        const root = join(scratch, "root");
        mkdirSync(root);
        run(
          [
            call(
              "move_mount",
              [register("rootfs"), "", AT.FDCWD, root, MOVE_MOUNT.F_EMPTY_PATH],
              "attach",
            ),
          ],
          registers,
        );
        try {
          expect(readdirSync(root).sort()).toEqual(["etc", "low", "mid", "top"]);
          expect(readFileSync(join(root, "etc/same"), "utf8")).toBe("top");
          expect([statSync(join(root, "low")).uid, statSync(join(root, "low")).gid]).toEqual([
            base + 33,
            base + 44,
          ]);
          chownSync(join(root, "low"), base + 1000, base);
          rmSync(join(root, "mid"));
          expect(statSync(join(writable, "upper/low")).uid).toBe(1000);
          expect(statSync(join(writable, "upper/mid")).isCharacterDevice()).toBe(true);
          expect(existsSync(join(places[1]!, "mid"))).toBe(true);
        } finally {
          syscall("umount2", root, 2);
          for (const descriptor of registers.values()) syscallRaw("close", descriptor);
          rmSync(scratch, { recursive: true });
        }
      },
    );
  }

  test("an overlay that the kernel silently mounts read-only is found out", async () => {
    const scratch = mkdtempSync(join(tmpdir(), "tiffin-overlay-"));
    mkdirSync(join(scratch, "low"));
    makeWritableLayer(join(scratch, "rw"));
    const registers = new Map([["userns", await userNamespace()]]);
    // Host root has no id on the mapped work directory when the plan does not act as the container's root.
    const plan = planOverlay({
      layers: [join(scratch, "low")],
      writableDirectory: join(scratch, "rw"),
      userNamespace: register("userns"),
      idBase: 100_000,
      kernel: [6, 1],
    }).filter((operation) => !("call" in operation && operation.call.startsWith("setfs")));
    expect(() => run(plan, registers)).toThrow(
      "check that the root can be written to: faccessat2 -30",
    );
    for (const descriptor of registers.values()) syscallRaw("close", descriptor);
    rmSync(scratch, { recursive: true });
  });
});

test.skipIf(inside)(
  "the plans run against the kernel, in a process of their own",
  async () => {
    const child = Bun.spawn([process.execPath, "test", import.meta.path], {
      env: { ...process.env, TIFFIN_TEST_PRIVATE_MOUNTS: "1" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const words = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new TypeError(words);
  },
  60_000,
);
