import { expect, test } from "bun:test";
import { openDatabase } from "../base/database.ts";
import { ExecTable } from "./exec-table.ts";
import type { Exec, ExecSpec } from "./types.ts";

const spec: ExecSpec = {
  command: ["true"],
  environment: [],
  workingDirectory: "",
  user: "",
  tty: false,
  terminalSize: { rows: 0, columns: 0 },
  privileged: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
  detachKeys: "",
};

function exec(id: string, containerId = "c"): Exec {
  return { id, containerId, spec, running: true, pid: 7, exitCode: null };
}

test("an exec that ended with its container can still be asked for its status", () => {
  const execs = new ExecTable(openDatabase(":memory:"));
  execs.insert(exec("a1"));
  execs.deleteOf("c");
  expect(execs.of("c")).toEqual([]);
  expect(execs.all()).toEqual([]);
  // Its process is told of as ended a moment after the container is gone.
  execs.update("a1", { running: false, exitCode: 137 });
  expect(execs.find("a1")).toMatchObject({ running: false, exitCode: 137 });
});

test("only the newest of them are held", () => {
  const execs = new ExecTable(openDatabase(":memory:"));
  for (let index = 0; index < 1000; index++) {
    execs.insert(exec(`e${index}`, `c${index}`));
    execs.deleteOf(`c${index}`);
  }
  expect(() => execs.find("e0")).toThrow("No such exec instance: e0");
  expect(execs.find("e999")).toMatchObject({ id: "e999" });
});
