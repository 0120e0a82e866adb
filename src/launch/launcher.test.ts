import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, type Operation, register } from "../base/operation.ts";
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
