import type { Database } from "../base/database.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Launcher } from "../launch/launcher.ts";
import type { Boot } from "./boot.ts";
import type { CpuSamples } from "./container-stats.ts";
import type { ContainerTable, StoredContainer } from "./container-table.ts";
import type { DueTimers } from "./due-timers.ts";
import type { HostFacts } from "./engine.ts";
import type { EventHub } from "./event-hub.ts";
import type { ExecTable } from "./exec-table.ts";
import type { ExecTimings } from "./exec-timings.ts";
import type { HealthMonitors } from "./health/health-monitors.ts";
import type { HostDetails } from "./host-details.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import type { ReadyContainers } from "./ready-containers.ts";
import type { OomWatch } from "./oom-watch.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import type { Places } from "./types.ts";
import type { WaiterList } from "./wait-container.ts";
import type { CgroupDriver } from "../cgroups/driver.ts";
import type { VolumeStore } from "../volumes/index.ts";
import type { VolumeUse } from "./volume-use.ts";
import type { NetworkState } from "./networks/network-state.ts";

/** What the verbs share. Each verb is a function over this record, in a file of its own. */
export interface EngineContext {
  /** Stable for a root directory: names the engine's cgroups and seeds its id ranges. */
  readonly id: string;
  readonly places: Places;
  readonly database: Database;
  readonly containers: ContainerTable;
  readonly execs: ExecTable;
  readonly images: ImageStore;
  readonly launcher: Launcher;
  readonly cgroups: CgroupDriver;
  readonly events: EventHub;
  readonly host: HostFacts;
  readonly hostDetails: HostDetails;
  readonly boot: Boot;
  readonly waiters: WaiterList;
  /** Of containers that restart: when they start again. */
  readonly restarts: DueTimers;
  /** Of runs that the engine is to end. */
  readonly deadlines: DueTimers;
  readonly health: HealthMonitors;
  readonly oom: OomWatch;
  readonly ready: ReadyContainers;
  readonly volumes: VolumeStore;
  readonly volumeUse: VolumeUse;
  readonly networks: NetworkState;
  /** Verbs that change a container hold its ID; those that change a volume hold `volume:NAME`; a network, `network`. */
  readonly lock: KeyedLock;
  /** Of containers that run, or that someone attached to before the start; and of execs. By ID. */
  readonly processes: Map<string, SupervisedProcess>;
  readonly cpuSamples: CpuSamples;
  readonly execTimings: ExecTimings;
  /** An open descriptor's path of RUN/processes: short enough for the address of a unix socket. */
  readonly shortRunPath: string;
}

/** Tells the world of a container's change, with docker's attributes. */
export function emitContainerEvent(
  context: EngineContext,
  container: StoredContainer,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  context.events.emit({
    type: "container",
    action,
    actorId: container.id,
    attributes: {
      ...container.spec.labels,
      image: container.spec.image,
      name: container.name,
      ...attributes,
    },
  });
}
