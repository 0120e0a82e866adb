import { randomBytes } from "node:crypto";
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "../base/database.ts";
import { TiffinError } from "../base/error.ts";
import { CgroupDriver } from "../cgroups/driver.ts";
import { readLayout } from "../cgroups/layout.ts";
import { openImageStore } from "../images/open-image-store.ts";
import { closeFd, lockFile } from "../kernel/process.ts";
import { createLauncher } from "../launch/launcher.ts";
import { launcherExecutable } from "../launch/launcher-executable.ts";
import { LayerStore } from "../layers/layer-store.ts";
import { startLogCompressor } from "../logs/index.ts";
import { resumeRestarts } from "./automatic-restart.ts";
import { readBoot, recordBoot } from "./boot.ts";
import type { FirewallPolicy } from "../network/firewall-policy.ts";
import { VolumeStore } from "../volumes/index.ts";
import { containerDirectories } from "./container-directories.ts";
import { CpuSamples } from "./container-stats.ts";
import { ContainerTable } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { openReserve, takeReserve } from "./disk-reserve.ts";
import { DueTimers } from "./due-timers.ts";
import { endOverdue } from "./end-run.ts";
import type { Engine } from "./engine.ts";
import { engineVerbs } from "./engine-verbs.ts";
import { trashDirectory } from "./discard-directory.ts";
import { EventHub } from "./event-hub.ts";
import { ExecTable } from "./exec-table.ts";
import { ExecTimings } from "./exec-timings.ts";
import { settleFirewall } from "./firewall-setting.ts";
import { watchHealth } from "./health/container-health.ts";
import { HealthMonitors } from "./health/health-monitors.ts";
import { HealthTable } from "./health/health-table.ts";
import { readHostDetails } from "./host-details.ts";
import { readHostFacts } from "./host-facts.ts";
import { observeImages } from "./image-events.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { NetworkState } from "./networks/network-state.ts";
import { closeNetworks } from "./networks/recover-networks.ts";
import { compressesLog } from "./log-settings.ts";
import { OomWatch } from "./oom-watch.ts";
import { ReadyContainers } from "./ready-containers.ts";
import { recover } from "./recover.ts";
import type { Places } from "./types.ts";
import { VolumeUse } from "./volume-use.ts";
import { WaiterList } from "./wait-container.ts";

export interface EngineSettings {
  /** How many containers are begun before anyone asks for them (ready-containers.ts). */
  readonly readyContainers?: number;
  /** Who decides about published ports; undefined: as it was last said for these places. */
  readonly firewall?: FirewallPolicy;
}

const READY_CONTAINERS = 2;

/**
 * Opens an engine: takes its places (no other engine may have them), adopts what an earlier one left, and is ready.
 * @throws conflict when another engine has these places
 */
export async function openEngine(places: Places, settings: EngineSettings = {}): Promise<Engine> {
  mkdirSync(places.root, { recursive: true, mode: 0o711 });
  mkdirSync(join(places.run, "processes"), { recursive: true, mode: 0o711 });
  // There beforehand: removing a container must not need space for it.
  mkdirSync(trashDirectory(places), { recursive: true, mode: 0o700 });
  const locks = [
    takeLock(join(places.root, "engine.lock")),
    takeLock(join(places.run, "engine.lock")),
  ];
  openReserve(places);
  const database = openDatabase(join(places.root, "state.db"));
  const id = engineId(database);
  const firewall = settleFirewall(database, settings.firewall);
  const containers = new ContainerTable(database);
  const cgroups = new CgroupDriver(
    id,
    readLayout(),
    (container) => containers.withId(container)?.spec.cgroupParent ?? "",
  );
  cgroups.prepare();
  const processes = openSync(join(places.run, "processes"), "r");
  const { kind } = cgroups.layout;
  const events = new EventHub();
  const layers = new LayerStore(places.root);
  const context: EngineContext = {
    id,
    places,
    database,
    containers,
    execs: new ExecTable(database),
    images: observeImages(openImageStore({ root: places.root, database, layers }), events),
    launcher: createLauncher(launcherExecutable()),
    cgroups,
    events,
    host: readHostFacts({ version: kind === "v2" ? 2 : 1, layout: kind }),
    hostDetails: readHostDetails(),
    boot: readBoot(database),
    restarts: new DueTimers("restart container"),
    deadlines: new DueTimers("end container"),
    health: new HealthMonitors(containers, new HealthTable(database)),
    oom: new OomWatch(cgroups),
    ready: new ReadyContainers(settings.readyContainers ?? READY_CONTAINERS),
    waiters: new WaiterList(),
    volumes: new VolumeStore(places.root, database),
    volumeUse: new VolumeUse(),
    networks: new NetworkState(database, id, { places, firewall }),
    lock: new KeyedLock(),
    processes: new Map(),
    cpuSamples: new CpuSamples(),
    execTimings: new ExecTimings(),
    shortRunPath: `/proc/self/fd/${processes}`,
  };
  takeReserve(places);
  const endHealth = watchHealth(context);
  context.deadlines.onDue((overdue) => endOverdue(context, overdue));
  watchMemory(context);
  await recover(context);
  resumeRestarts(context);
  recordBoot(database, context.boot);
  context.ready.begin(context);
  const compressor = startLogCompressor({
    directories: () => compressedLogs(context),
    onError: (directory, error) =>
      console.error(`tiffin: compressing the log in ${directory}:`, error),
  });
  return {
    ...engineVerbs(context),
    close: async () => {
      endHealth();
      await closeContext(context);
      await compressor.close();
      endNetworks(context);
      if (cgroups.list().length === 0) cgroups.dispose();
      database.close();
      for (const fd of [processes, ...locks]) closeFd(fd);
    },
  };
}

/** What goes on by itself ends; containers go on. */
async function closeContext(context: EngineContext): Promise<void> {
  context.restarts.close();
  context.deadlines.close();
  context.health.close();
  context.oom.close();
  await context.ready.close();
  for (const process of context.processes.values()) process.release();
  context.launcher.close();
}

/** The kernel's kills as events, from a container's start to its end. */
function watchMemory(context: EngineContext): void {
  const { containers, events, oom } = context;
  oom.onKills((id) => {
    const container = containers.withId(id);
    if (container !== undefined) emitContainerEvent(context, container, "oom");
  });
  events.observe(({ type, action, actorId }) => {
    if (type === "container" && action === "start") oom.watch(actorId, "start");
  });
}

function endNetworks(context: EngineContext): void {
  try {
    closeNetworks(context);
  } catch (error) {
    console.error("tiffin: cannot take the networks from the host:", error);
  }
}

function compressedLogs({ containers, places }: EngineContext): string[] {
  return containers
    .all()
    .filter(({ spec }) => compressesLog(spec))
    .map(({ id }) => containerDirectories(places, id).logs);
}

function takeLock(path: string): number {
  const fd = openSync(path, "a", 0o600);
  if (lockFile(fd)) return fd;
  closeFd(fd);
  throw new TiffinError("conflict", `Cannot start the engine: another one holds ${path}`, {
    hint: "Use that one, or give this one places of its own: --root and --run",
  });
}

/** Stable for a root directory: it names the engine's cgroups. */
function engineId(database: Database): string {
  database.execute("CREATE TABLE IF NOT EXISTS engine (id TEXT NOT NULL)");
  const known = database.get<{ id: string }>("SELECT id FROM engine")?.id;
  if (known !== undefined) return known;
  const id = randomBytes(6).toString("hex");
  database.execute("INSERT INTO engine VALUES (?)", id);
  return id;
}
