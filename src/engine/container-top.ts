import { readFileSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import type { ProcessTable } from "./engine.ts";
import { runningProcess } from "./stop-container.ts";
import type { PsHost } from "./top/ps-columns.ts";
import { readPsOptions } from "./top/ps-options.ts";
import { readProcess } from "./top/read-process.ts";

const DEFAULT_OPTIONS = "-ef";
/** Of a container's user namespace (id-range.ts). */
const RANGE = 65_536;

/**
 * The container's processes as ps(1) would show them, read from /proc: nothing is run, inside or outside. Process ids are the
 * host's, users are as the container sees them.
 * @throws conflict when it does not run; invalid-argument (options)
 */
export async function containerTop(
  context: EngineContext,
  name: string,
  psOptions: string,
): Promise<ProcessTable> {
  const container = context.containers.find(name);
  const { columns, names, pids } = readPsOptions(psOptions.trim() || DEFAULT_OPTIONS);
  if (container.state.status === "restarting") {
    throw new TiffinError(
      "conflict",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  runningProcess(context, container);
  const host = psHost(container.idBase, context.host.memoryBytes);
  const processes = context.cgroups
    .processes(container.id)
    .toSorted((first, second) => first - second)
    .filter((pid) => pids.length === 0 || pids.includes(pid))
    .flatMap((pid) => readProcess(pid) ?? [])
    .filter((process) => names.length === 0 || names.includes(process.name))
    .map((process) => columns.map(({ cell }) => cell(process, host)));
  emitContainerEvent(context, container, "top");
  return { titles: columns.map(({ title }) => title), processes };
}

function psHost(idBase: number, memoryBytes: number): PsHost {
  const users = lazily(() => readNames("/etc/passwd"));
  const groups = lazily(() => readNames("/etc/group"));
  const insideId = (id: number): number =>
    idBase !== 0 && id >= idBase && id < idBase + RANGE ? id - idBase : id;
  const named = (names: ReadonlyMap<number, string>, id: number): string =>
    names.get(insideId(id)) ?? String(insideId(id));
  return {
    nowMs: Date.now(),
    uptimeSeconds: Number(readFileSync("/proc/uptime", "utf8").split(" ", 1)[0]),
    memoryBytes,
    userName: (uid) => named(users(), uid),
    groupName: (gid) => named(groups(), gid),
    insideId,
  };
}

/** The host's names of ids, as docker's ps has them: a container's own could not be read without trusting it. */
function readNames(path: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [name = "", , id = ""] = line.split(":");
    if (/^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

function lazily<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => (made ??= make());
}
