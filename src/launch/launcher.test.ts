import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, type Operation, register } from "../base/operation.ts";
import type { RestOfPlan } from "./compile.ts";
import { createLauncher } from "./launcher.ts";
import { superviseStep } from "./supervise-step.ts";

const launcher = createLauncher(readFileSync(join(import.meta.dir, "../../native/build/launch")));

function runPlan(directory: string, command: string[]): Operation[] {
  const O_CLOEXEC = 0o2000000;
  return [
    call("openat", [-100, directory, 0o200000 | O_CLOEXEC], "open the directory", {
      result: "directory",
    }),
    call("pipe2", [{ scratch: "out", size: 8 }, O_CLOEXEC], "make a pipe"),
    call("eventfd2", [0, O_CLOEXEC], "make an event", { result: "go" }),
    {
      control: "fork",
      flags: 0x1000n,
      pid: "pid",
      pidfd: "pidfd",
      reason: "fork",
      child: [
        call("openat", [-100, command[0] ?? "", 0], `open "${command[0]}"`),
        { control: "wait", for: register("go"), until: "readable", reason: "wait for the parent" },
        {
          control: "exec",
          candidates: command.slice(0, 1),
          argv: command,
          environment: ["A=b"],
          reason: `run "${command[0]}"`,
        },
      ],
    },
    { control: "signal", eventfd: register("go"), reason: "let the child go" },
    superviseStep({
      pid: register("pid"),
      pidfd: register("pidfd"),
      directory: register("directory"),
      listener: -1,
      logDirectory: register("directory"),
      memoryEvents: -1,
      stdin: -1,
      stdout: -1,
      stderr: -1,
      terminal: -1,
      closeStdinWithClient: false,
      engineStreams: 0,
      log: { maxBytes: 0, keep: 5, next: 1 },
    }),
  ];
}

/** Instead of letting the child go: wait for something that only its end brings. */
const waitForEnd: Operation = {
  control: "wait",
  for: register("go"),
  until: "readable",
  peer: register("pidfd"),
  reason: "wait for the child",
};

test("a plan runs and its exit status is kept", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-launch."));
  const launched = await launcher.launch(runPlan(directory, ["/bin/sh", "-c", "exit 7"]), "test");
  const exit = Promise.withResolvers<number>();
  launched.connection.setHandlers({ onExit: (record) => exit.resolve(record.exitCode) });
  expect(await exit.promise).toBe(7);
  rmSync(directory, { recursive: true });
});

test("a supervisor that has ended is reaped", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-launch."));
  // It is no zombie yet when its socket closes, sometimes: more than one makes sure that this is met.
  for (let round = 0; round < 20; round += 1) {
    const launched = await launcher.launch(runPlan(directory, ["/bin/true"]), "test");
    const process = `/proc/${launched.supervisorPid}`;
    while (existsSync(process)) await Bun.sleep(5);
  }
  rmSync(directory, { recursive: true });
});

test("a step that fails on the host is told with its reason and errno, and nothing runs", async () => {
  const plan = runPlan("/nowhere", ["/bin/true"]);
  await expect(launcher.launch(plan, "test")).rejects.toThrow(
    "Cannot open the directory: no such file or directory (ENOENT)",
  );
});

test("a step that fails in the child is told by its parent", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-launch."));
  const plan = runPlan(directory, ["/nowhere/x"]).map((operation) =>
    "control" in operation && operation.control === "signal" ? waitForEnd : operation,
  );
  await expect(launcher.launch(plan, "test")).rejects.toMatchObject({
    code: "internal",
    details: { side: "container" },
  });
  rmSync(directory, { recursive: true });
});

/** Its child inherits a pipe, and has a word ready for it, in memory that the rest uses too. */
function beginning(): Operation[] {
  return [
    call("pipe2", [{ scratch: "out", size: 8 }, 0], "make a pipe"),
    {
      control: "load",
      from: { scratch: "out", size: 8 },
      offset: 4,
      result: "out.write",
      reason: "take its end",
    },
    call("eventfd2", [0, 0], "make an event", { result: "go" }),
    {
      control: "fork",
      flags: 0x1000n,
      pid: "pid",
      pidfd: "pidfd",
      reason: "fork",
      child: [
        call("prctl", [1, 9, 0, 0, 0], "end with its parent"),
        call("getpid", [], "know itself", { result: "self" }),
        { control: "wait", for: register("go"), until: "readable", reason: "wait for the parent" },
        { control: "rest", reason: "go on as the child" },
      ],
    },
    { control: "wait", for: 3, until: "readable", peer: register("pidfd"), reason: "wait" },
    { control: "rest", reason: "go on as the parent" },
  ];
}

function ending(directory: string, command: string[]): RestOfPlan {
  const [, ...rest] = runPlan(directory, command).filter(
    (operation) => !("control" in operation && operation.control === "fork"),
  );
  return {
    supervisor: [
      call("openat", [-100, directory, 0o200000], "open the directory", { result: "directory" }),
      ...rest.filter((operation) => "control" in operation),
    ],
    container: [
      {
        control: "decimal",
        from: register("self"),
        to: { scratch: "text", size: 24 },
        reason: "write its number",
      },
      call("write", [register("out.write"), { scratch: "text", size: 24 }, 8], "tell it"),
      {
        control: "exec",
        candidates: command.slice(0, 1),
        argv: command,
        environment: ["A=b", "C=d"],
        reason: `run "${command[0]}"`,
      },
    ],
  };
}

test("a launch that waits goes on with what it is told later, on both sides", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-launch."));
  const ready = launcher.prepare(beginning(), "test");
  expect(ready.ended).toBeUndefined();
  const script = `[ "$0 $A $C" = "word b d" ] && [ $$ = "$(head -c 8 <&$1 | tr -d '\\0')" ] && exit 7`;
  const launched = await ready.goOn(ending(directory, ["/bin/sh", "-c", script, "word", "4"]));
  const exit = Promise.withResolvers<number>();
  launched?.connection.setHandlers({ onExit: (record) => exit.resolve(record.exitCode) });
  expect(await exit.promise).toBe(7);
  expect(launched?.report.register("pid")).toBeGreaterThan(1);
  rmSync(directory, { recursive: true });
});

test("a step of the rest that fails is told with its reason", async () => {
  const ready = launcher.prepare(beginning(), "test");
  const going = ready.goOn(ending("/nowhere", ["/bin/true"]));
  await expect(going).rejects.toThrow("Cannot open the directory: no such file");
});

test("a launch that nobody goes on with ends when it is dropped, with its child", async () => {
  const ready = launcher.prepare(beginning(), "test-drop");
  const waiting = () => processesNamed("test-drop");
  while (waiting().length < 1) await Bun.sleep(5);
  ready.drop();
  while (waiting().length > 0) await Bun.sleep(5);
  expect(ready.goOn(ending("/", ["/bin/true"]))).toBeUndefined();
});

test("a rest that has no room is refused, and the launch ends", async () => {
  const ready = launcher.prepare(beginning(), "test-room");
  expect(ready.goOn(ending("/", ["/bin/true", "x".repeat(100_000)]))).toBeUndefined();
  while (processesNamed("test-room").length > 0) await Bun.sleep(5);
});

test("a beginning that fails says why, and cannot go on", async () => {
  const failing = [call("openat", [-100, "/nowhere", 0], "open what is not there"), ...beginning()];
  const ready = launcher.prepare(failing, "test");
  while (ready.ended === undefined) await Bun.sleep(5);
  expect(ready.ended).toStartWith("Cannot open what is not there: no such file");
  expect(ready.goOn(ending("/", ["/bin/true"]))).toBeUndefined();
});

function processesNamed(name: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`${name}\0`);
    } catch {
      return false;
    }
  });
}
