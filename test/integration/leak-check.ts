/**
 * What an engine holds on the host, held against what its containers account for: supervisors and other processes, zombies,
 * cgroups in every hierarchy, mounts in every mount namespace that can be reached, files, and the engine's descriptors.
 * More than `EngineFixture.leaks()`: containers may run meanwhile.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { callApi } from "./engine-api.ts";
import { type EngineFixture, readyContainers, until } from "./engine-fixture.ts";

/** Removing goes on for a moment after a verb is answered. */
const PATIENCE_MS = 15_000;

/** Ids that may have something on the host. */
interface Owners {
  readonly containers: ReadonlySet<string>;
  readonly running: ReadonlySet<string>;
  readonly execs: ReadonlySet<string>;
}

/** In words, what nothing accounts for, after waiting a while for it to go; empty when all is well. */
export async function unownedResources(engine: EngineFixture): Promise<string[]> {
  let found: string[] = [];
  try {
    const look = async () => (found = await findUnowned(engine)).length === 0;
    await until("nothing without an owner is left", look, PATIENCE_MS);
  } catch {
    // Told by what was found last.
  }
  return found;
}

async function findUnowned(engine: EngineFixture): Promise<string[]> {
  const owners = await readOwners(engine);
  const grouped = new Set([...owners.running, ...(await readyContainers(engine))]);
  return [
    ...(await checkFindings(engine)),
    ...unownedCgroups(engine, grouped),
    ...unownedProcesses(engine, owners, grouped),
    ...unownedMounts(engine, grouped),
    ...unownedFiles(engine, owners),
  ];
}

async function readOwners(engine: EngineFixture): Promise<Owners> {
  const list = await callApi(engine, "GET", "/containers/json?all=1");
  const containers = list.json as { Id: string; State: string }[];
  const running = containers
    .filter(({ State }) => State === "running" || State === "paused")
    .map(({ Id }) => Id);
  const execs: string[] = [];
  for (const id of running) {
    const inspected = await callApi(engine, "GET", `/containers/${id}/json`);
    for (const exec of (inspected.json as { ExecIDs: string[] | null }).ExecIDs ?? []) {
      const { json } = await callApi(engine, "GET", `/exec/${exec}/json`);
      if ((json as { Running: boolean }).Running) execs.push(exec);
    }
  }
  return {
    containers: new Set(containers.map(({ Id }) => Id)),
    running: new Set(running),
    execs: new Set(execs),
  };
}

async function checkFindings(engine: EngineFixture): Promise<string[]> {
  const { json } = await callApi(engine, "GET", "/tiffin/check");
  const { findings } = json as { findings: { kind: string; what: string; problem: string }[] };
  return findings.map(({ kind, what, problem }) => `system check: ${kind} ${what}: ${problem}`);
}

/** `grouped`: whose cgroups are accounted for. */
function unownedCgroups({ engineId }: EngineFixture, grouped: ReadonlySet<string>): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(" ")[4] ?? "", "tiffin", engineId))
    .flatMap((parent) => folders(parent).map((name) => ({ parent, name })))
    .filter(({ name }) => !grouped.has(name))
    .map(({ parent, name }) => `cgroup ${join(parent, name)}`);
}

/** Supervisors of nothing that runs, processes in a group of no running container, dead children of the engine. */
function unownedProcesses(
  engine: EngineFixture,
  owners: Owners,
  grouped: ReadonlySet<string>,
): string[] {
  return processes().flatMap((pid) => {
    const status = read(`/proc/${pid}/status`);
    const name = `${pid} ${/^Name:\t(.*)$/m.exec(status)?.[1] ?? ""}`;
    if (/^State:\tZ/m.test(status)) {
      const isChild = /^PPid:\t(\d+)$/m.exec(status)?.[1] === String(engine.pid());
      return isChild ? [`zombie ${name}`] : [];
    }
    const group = groupOwner(pid, engine.engineId);
    if (group !== undefined && !grouped.has(group)) {
      return [`process ${name} in the group of ${group}`];
    }
    const watched = supervisedId(pid, engine.run);
    if (watched === undefined || owners.running.has(watched) || owners.execs.has(watched))
      return [];
    return [`supervisor ${name} of ${watched}`];
  });
}

/** The container in whose cgroup a process is. */
function groupOwner(pid: string, engineId: string): string | undefined {
  return new RegExp(`/tiffin/${engineId}/([0-9a-f]{64})`).exec(read(`/proc/${pid}/cgroup`))?.[1];
}

/** Which container or exec a supervisor watches over: its run directory is among its descriptors. */
export function supervisedId(pid: string, run: string): string | undefined {
  if (!link(`/proc/${pid}/exe`).includes("memfd:tiffin-launch")) return undefined;
  const prefix = join(run, "processes", "/");
  return descriptors(pid)
    .filter((target) => target.startsWith(prefix))
    .map((target) => target.slice(prefix.length))[0];
}

/** Pid of the supervisor of a container or exec. */
export function supervisorOf({ run }: EngineFixture, id: string): number | undefined {
  const found = processes().find((pid) => supervisedId(pid, run) === id);
  return found === undefined ? undefined : Number(found);
}

/** Mounts that name the engine's directories, in each namespace but those of its running containers. */
function unownedMounts(engine: EngineFixture, grouped: ReadonlySet<string>): string[] {
  const seen = new Set<string>();
  return processes().flatMap((pid) => {
    const namespace = link(`/proc/${pid}/ns/mnt`);
    if (namespace === "" || seen.has(namespace)) return [];
    seen.add(namespace);
    const owner = groupOwner(pid, engine.engineId);
    if (owner !== undefined && grouped.has(owner)) return [];
    return read(`/proc/${pid}/mountinfo`)
      .split("\n")
      .filter((line) => line.includes(`${engine.root}/`) || line.includes(`${engine.run}/`))
      .map((line) => `mount in ${namespace}: ${line}`);
  });
}

const STATE_FILES = new Set(
  [
    "ballast",
    "blobs",
    "containers",
    "engine.lock",
    "layers",
    "reserve",
    "state.db",
    "tmp",
    "trash",
    "volumes",
  ].flatMap((name) => (name === "state.db" ? [name, `${name}-wal`, `${name}-shm`] : [name])),
);
const RUN_FILES = new Set([
  "engine.lock",
  "engine.log",
  "engine.pid",
  "processes",
  "start.lock",
  "tiffin.sock",
]);

function unownedFiles({ root, run }: EngineFixture, owners: Owners): string[] {
  const without = (directory: string, isOwned: (name: string) => boolean) =>
    entries(directory)
      .filter((name) => !isOwned(name))
      .map((name) => `file ${join(directory, name)}`);
  return [
    ...without(root, (name) => STATE_FILES.has(name)),
    ...without(run, (name) => RUN_FILES.has(name)),
    ...without(join(root, "containers"), (id) => owners.containers.has(id)),
    ...without(join(run, "processes"), (id) => owners.running.has(id) || owners.execs.has(id)),
    // What lies in `trash` is on its way out (discardDirectory): `unemptiedTrash` waits for that.
    ...["tmp", "layers/partial"].flatMap((name) => without(join(root, name), () => false)),
    ...without(join(root, "blobs/sha256"), (name) => /^[0-9a-f]{64}$/.test(name)),
  ];
}

/** Directories that were removed and never deleted. */
export async function unemptiedTrash({ root }: EngineFixture): Promise<string[]> {
  const left = () => entries(join(root, "trash"));
  await until("the trash is empty", () => left().length === 0, PATIENCE_MS).catch(() => undefined);
  return left();
}

/** How many descriptors a process has of each kind: `socket`, `anon_inode:[pidfd]`, a path. */
export function descriptorKinds(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const target of descriptors(String(pid))) {
    const kind = target.replace(/:\[\d+\]$/, "").replace(/[0-9a-f]{64}/, "ID");
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

function descriptors(pid: string): string[] {
  return entries(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
}

function processes(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/** "" when it is not there (any more). */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function folders(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}
