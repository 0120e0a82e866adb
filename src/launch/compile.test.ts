import { expect, test } from "bun:test";
import { call, type Operation, register } from "../base/operation.ts";
import { compile } from "./compile.ts";

const OP_SIZE = 72;
const HEADER_SIZE = 24;

function operation(program: Uint8Array, index: number): DataView {
  return new DataView(program.buffer, program.byteOffset + HEADER_SIZE + index * OP_SIZE, OP_SIZE);
}

test("a system call becomes one operation with its number, arguments and result register", () => {
  const { bytes, registers, steps } = compile(
    [call("openat", [-100, "/x", 0], "open x", { result: "fd" })],
    "x64",
  );
  const op = operation(bytes, 0);
  expect(op.getUint8(0)).toBe(0);
  expect(op.getUint32(4, true)).toBe(257);
  expect(op.getUint16(2, true)).toBe(registers.get("fd") ?? -1);
  expect(op.getBigInt64(24, true)).toBe(-100n);
  expect(op.getUint8(9)).toBe(2);
  expect(steps).toHaveLength(1);
});

test("the same plan has the other architecture's numbers there", () => {
  const { bytes } = compile([call("openat", [-100, "/x", 0], "open x")], "arm64");
  expect(operation(bytes, 0).getUint32(4, true)).toBe(56);
});

test("errors that are fine are kept by number", () => {
  const { bytes } = compile(
    [call("mkdirat", [-100, "/x", 0o755], "make x", { okErrors: ["EEXIST"] })],
    "x64",
  );
  expect(operation(bytes, 0).getUint16(16, true)).toBe(17);
});

test("a register inside a structure is stored just before the step that uses it", () => {
  const { bytes, steps } = compile(
    [
      call("openat", [-100, "/x", 0], "open x", { result: "fd" }),
      call("bpf", [0, { struct: [[4, register("fd")]] }, 4], "use x"),
    ],
    "x64",
  );
  expect(steps.map(({ operation: { reason } }) => reason)).toEqual(["open x", "use x", "use x"]);
  expect(operation(bytes, 1).getUint8(0)).toBe(3);
});

test("the child of a fork stands after its parent, which jumps nowhere", () => {
  const plan: Operation[] = [
    {
      control: "fork",
      flags: 0n,
      pid: "pid",
      pidfd: "pidfd",
      reason: "fork",
      child: [
        { control: "exec", candidates: ["/x"], argv: ["x"], environment: [], reason: "run x" },
      ],
    },
    call("exit_group", [0], "leave"),
  ];
  const { bytes, steps } = compile(plan, "x64");
  const target = operation(bytes, 0).getUint32(4, true);
  expect(steps[target]).toMatchObject({ side: "container" });
  expect(steps.slice(0, target).every(({ side }) => side === "supervisor")).toBe(true);
});

test("what a child forks is known to its parent", () => {
  const fork = (pid: string, child: Operation[]): Operation => ({
    control: "fork",
    flags: 0n,
    pid,
    pidfd: `${pid}.fd`,
    reason: "fork",
    child,
  });
  const inner = fork("inner", [call("getpid", [], "learn it", { result: "own" })]);
  const plan = [
    fork("outer", [inner]),
    call("close", [register("inner.fd")], "close it"),
    call("close", [register("own")], "use what it set"),
  ];
  expect(compile(plan, "x64").registers.has("inner")).toBe(true);
});

test("a branch runs one of its two sides", () => {
  const plan: Operation[] = [
    call("openat", [-100, "/x", 0], "open x", { result: "fd", okErrors: ["ENOENT"] }),
    {
      control: "branch",
      ifNegative: register("fd"),
      reason: "when x is missing",
      then: [call("getpid", [], "then")],
      otherwise: [call("getpid", [], "otherwise")],
    },
  ];
  const { bytes, steps } = compile(plan, "x64");
  const reasons = steps.map(({ operation: { reason } }) => reason);
  expect(reasons).toEqual([
    "open x",
    "when x is missing",
    "otherwise",
    "when x is missing",
    "then",
  ]);
  expect(operation(bytes, 1).getUint32(4, true)).toBe(4);
  expect(operation(bytes, 3).getUint32(4, true)).toBe(5);
});

test("a register that nothing sets is refused", () => {
  expect(() => compile([call("close", [register("fd")], "close it")], "x64")).toThrow(
    'nothing sets register "fd"',
  );
});

test("a register that both sides set is refused", () => {
  const set = call("getpid", [], "set it", { result: "x" });
  const plan: Operation[] = [
    set,
    { control: "fork", flags: 0n, pid: "pid", pidfd: "pidfd", reason: "fork", child: [set] },
  ];
  expect(() => compile(plan, "x64")).toThrow('both sides set register "x"');
});

test("a text with a NUL inside is refused", () => {
  expect(() => compile([call("chdir", ["/a\0b"], "go")], "x64")).toThrow("NUL byte");
});
