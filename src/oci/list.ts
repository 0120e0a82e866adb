import { readFileSync } from "node:fs";
import { invalidArgument } from "../base/error.ts";
import { exactly, parseCommandLine } from "./command-line.ts";
import type { OciCommand } from "./commands.ts";
import { cgroupsOf, describeState, statusOf } from "./container-status.ts";
import { StateDirectory } from "./state-directory.ts";
import { writeOut } from "./write-out.ts";

export const list: OciCommand = (words, { root }) => {
  const line = parseCommandLine(words, { "format|f": "value", "quiet|q": "switch" });
  exactly(line, 0, "list [--quiet] [--format table|json]");
  const format = line.value("format") ?? "table";
  const states = StateDirectory.list(root).flatMap((id) => {
    try {
      const directory = StateDirectory.open(root, id);
      const stored = directory.read();
      return [describeState(stored, statusOf(directory, stored))];
    } catch {
      // Deleted meanwhile, or torn.
      return [];
    }
  });
  if (line.has("quiet")) writeOut(states.map(({ id }) => `${id}\n`).join(""));
  else if (format === "json") writeOut(`${JSON.stringify(states)}\n`);
  else if (format === "table") {
    const rows = states.map(({ id, pid, status, bundle, created }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      "root",
    ]);
    writeOut(table([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], ...rows]));
  } else throw invalidArgument(`Unknown format ${JSON.stringify(format)}: use table or json`);
  return 0;
};

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(12, ...rows.map((row) => (row[column] ?? "").length + 3)),
  );
  return rows
    .map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("")}\n`)
    .join("");
}

/** The processes of a container: pids as JSON, or a table. */
export const ps: OciCommand = (words, { root }) => {
  const line = parseCommandLine(words, { "format|f": "value" });
  const [id = ""] = line.operands;
  if (id === "") throw invalidArgument("Wrong arguments: usage: ps [--format FORMAT] CONTAINER");
  const directory = StateDirectory.open(root, id);
  const { driver, paths } = cgroupsOf(directory.read());
  const pids = driver.processes(paths.name).toSorted((a, b) => a - b);
  if ((line.value("format") ?? "table") === "json") {
    writeOut(`${JSON.stringify(pids)}\n`);
    return 0;
  }
  const rows = pids.flatMap((pid) => {
    const status = readProcess(pid, "status");
    const field = (name: string): string =>
      new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    const command = readProcess(pid, "cmdline").replaceAll("\0", " ").trim();
    if (status === "") return [];
    return [[field("Uid"), String(pid), field("PPid"), field("State"), command || field("Name")]];
  });
  writeOut(table([["UID", "PID", "PPID", "STAT", "CMD"], ...rows]));
  return 0;
};

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // Gone meanwhile.
    return "";
  }
}
