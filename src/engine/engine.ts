import type { Support } from "../cgroups/support.ts";
import type { CopyRequest } from "../logs/index.ts";
import type { Change } from "../layers/changes.ts";
import type { PathStatus } from "../layers/resolve-path.ts";
import type { CommitRequest } from "./commit-container.ts";
import type { ArchiveWrite, CopyIn, CopyOut, PathArchive } from "./container-archive.ts";
import type { Platform } from "../images/manifest.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { PullOptions } from "./pull-image.ts";
import type { PushOptions } from "./push-image.ts";
import type { RegistryVerbs } from "./registry-verbs.ts";
import type { ContainerStats, StatsRequest } from "./container-stats.ts";
import type { Pruned } from "./prune-containers.ts";
import type { ImagePruning, PrunedImages } from "./prune-images.ts";
import type { ContainerUpdate } from "./update-container.ts";
import type {
  AttachRequest,
  AttachSession,
  Container,
  ContainerSpec,
  EngineEvent,
  Exec,
  ExecSpec,
  OutputStream,
  Places,
  WaitCondition,
  WaitResult,
} from "./types.ts";
import type { NetworkVerbs } from "./networks/network-verbs.ts";
import type { VolumeVerbs } from "./volume-verbs.ts";

export type { Change, PathStatus };

/** What a plan would do, as data for --explain and --dry-run. */
export interface ExplainedStep {
  readonly index: number;
  readonly side: "engine" | "supervisor" | "container";
  /** `mount a fresh proc at /proc` */
  readonly reason: string;
  /** `move_mount(proc, "", root, "proc", 4)` */
  readonly call: string;
  /** Filled by --timings: nanoseconds that the step took. */
  readonly nanoseconds?: number;
  /** It was done before anyone asked for the container (ready-containers.ts). */
  readonly ahead?: true;
}

export interface LogRequest {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Nanoseconds since the epoch; 0n: from the start. */
  readonly sinceNano: bigint;
  /** 0n: to the end. */
  readonly untilNano: bigint;
  /** Last lines; null: all. */
  readonly tail: number | null;
}

/** How a log is to be copied; `details`: with the attributes of --log-opt before each line. */
export interface LogCopy extends Omit<CopyRequest, "linePrefix"> {
  readonly details: boolean;
}

export interface LogLine {
  readonly stream: OutputStream;
  /** RFC 3339 with nanoseconds, as the log holds it. */
  readonly timestamp: string;
  /** The bytes as written, with the newline unless the line was a part. */
  readonly data: Uint8Array;
}

/** What system check found: a host resource without an owner, or an owner without its resource. */
export interface Finding {
  readonly kind:
    | "mount"
    | "cgroup"
    | "process"
    | "directory"
    | "layer"
    | "blob"
    | "container"
    | "socket"
    | "volume"
    | "interface"
    | "firewall";
  readonly what: string;
  readonly problem: string;
  readonly repaired: boolean;
}

/** What `docker top` shows: ps's titles, and a row of as many cells for each process. */
export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

export interface Isolation {
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  readonly cgroupnsMode: "host" | "private";
}

export interface HostFacts {
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  /** VERSION_ID of os-release(5), or "". */
  readonly operatingSystemVersion: string;
  /** Whether the host passes packets on between networks. */
  readonly ipv4Forwarding: boolean;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: 1 | 2;
  /** "v1", "v2" or "hybrid". */
  readonly cgroupLayout: string;
  readonly hostname: string;
}

/**
 * The engine's verbs. A container is named by its name, its ID or an unambiguous start of its ID; every verb throws
 * `not-found` when there is none. All errors are TiffinErrors.
 */
export interface Engine {
  readonly id: string;
  readonly places: Places;
  readonly images: ImageStore;
  readonly volumes: VolumeVerbs;
  readonly networks: NetworkVerbs;
  readonly host: HostFacts;
  /** Which limits the host's kernel has. */
  readonly limits: Support;

  /** @throws already-exists (name), not-found (image), invalid-argument */
  createContainer(request: {
    name: string;
    spec: ContainerSpec;
    /** Where the image's name stands for several: the one for this. */
    platform?: Platform;
  }): Promise<{ id: string; warnings: string[] }>;
  /** @throws not-modified when it runs already; conflict when paused; command-not-found, command-not-executable */
  startContainer(
    name: string,
    options?: { timings?: boolean },
  ): Promise<{ timings?: ExplainedStep[] }>;
  /** The plan of a start without doing it, for a spec that need not exist as a container. */
  explain(request: { name: string; spec: ContainerSpec }): Promise<ExplainedStep[]>;
  /** @throws not-modified when it does not run */
  stopContainer(name: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  /** Stops it, unless it does not run, and starts it. @throws what stop and start throw */
  restartContainer(
    name: string,
    options: { signal?: string; timeoutSeconds?: number },
  ): Promise<void>;
  /** @throws conflict when it does not run or is paused already */
  pauseContainer(name: string): Promise<void>;
  /** @throws conflict when it is not paused */
  unpauseContainer(name: string): Promise<void>;
  /** @throws already-exists (name), invalid-argument */
  renameContainer(name: string, newName: string): Promise<void>;
  /** @throws conflict with what is set, or when the kernel refuses it; invalid-argument */
  updateContainer(name: string, change: ContainerUpdate): Promise<{ warnings: string[] }>;
  /** What ps(1) shows of its processes. @throws conflict when it does not run; invalid-argument (options) */
  top(name: string, psOptions: string): Promise<ProcessTable>;
  /** @throws conflict when it does not run */
  killContainer(name: string, signal: string): Promise<void>;
  /** @throws conflict when it runs and force is false */
  removeContainer(name: string, options: { force: boolean; volumes: boolean }): Promise<void>;
  /** Returns once the wait is registered; `result` resolves when the condition holds. */
  waitContainer(
    name: string,
    condition: WaitCondition,
    signal?: AbortSignal,
  ): { result: Promise<WaitResult> };
  container(name: string): Container;
  /** What is hidden from a container and what it may only read, and whether its cgroup namespace is its own. */
  isolation(name: string): Isolation;
  /** Newest first. */
  containers(): Container[];
  /** Bytes of the container's own layer. */
  containerSize(name: string): Promise<number>;
  /** May be called before the start: the session then waits for it. @throws conflict */
  attach(name: string, request: AttachRequest): Promise<AttachSession>;
  resizeContainer(name: string, rows: number, columns: number): Promise<void>;
  logs(name: string, request: LogRequest, signal?: AbortSignal): AsyncIterable<LogLine[]>;
  /** The same, as large chunks in docker's stream format: what GET /logs sends. */
  copyLogs(name: string, request: LogCopy, signal?: AbortSignal): AsyncIterable<Uint8Array>;

  /** Removes containers that do not run, or tells which it would. */
  pruneContainers(options: {
    isWanted: (container: Container) => boolean;
    dryRun: boolean;
  }): Promise<Pruned>;
  /** Removes images that no container uses, or tells which it would. */
  pruneImages(options: ImagePruning): Promise<PrunedImages>;
  /** What containers use, once or once a second. @throws not-found for a name, at once */
  stats(request: StatsRequest, signal: AbortSignal): AsyncIterable<ContainerStats[]>;

  /** What a path in a container is, running or not. @throws not-found in docker's words */
  statPath(name: string, path: string): Promise<PathStatus>;
  /** The same, and an archive of what is there. @throws not-found */
  readPath(request: { name: string; path: string; signal: AbortSignal }): Promise<PathArchive>;
  /** @throws not-found; invalid-argument (no directory, a bad archive); permission-denied (read-only) */
  writePath(request: ArchiveWrite): Promise<void>;
  /** Whether the other end of a unix socket (by descriptor) is root on this host, to whom paths mean what they mean to the engine. */
  sharesHost(socket: number): boolean;
  /** The same with a path of the host, read with the engine's rights. */
  copyIn(request: CopyIn): Promise<void>;
  /** A path of the container to the host, written with the engine's rights. @throws not-found */
  copyOut(request: CopyOut): Promise<void>;
  /** What the container has changed, in the order of the paths. */
  changes(name: string, signal: AbortSignal): AsyncIterable<readonly Change[]>;
  /** The container's root as a tar archive, without volumes. */
  exportContainer(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Makes an image from a container's changes; its id. @throws conflict; invalid-argument (reference, changes) */
  commitContainer(request: CommitRequest): Promise<string>;

  /** @throws conflict when the container does not run */
  createExec(name: string, spec: ExecSpec): Promise<{ id: string }>;
  /** `detach`: resolves once it runs, without a session. Else `session` carries its streams until it ends. */
  startExec(
    id: string,
    options: { detach: boolean; tty: boolean; timings?: boolean },
  ): Promise<AttachSession | undefined>;
  /** What the steps of an exec's start cost, once, when its start was asked for them. */
  takeExecTimings(id: string): readonly ExplainedStep[];
  exec(id: string): Exec;
  /** Ids of the container's execs. */
  execs(name: string): string[];
  resizeExec(id: string, rows: number, columns: number): Promise<void>;

  /** Brings an image in from its registry (pull-image.ts). */
  pullImage(name: string, options: PullOptions): Promise<void>;
  /** What registries can be asked without an image coming in. */
  readonly registry: RegistryVerbs;
  /** Puts an image into its registry (push-image.ts). */
  pushImage(name: string, options: PushOptions): Promise<void>;

  /** Past events from `sinceNano` on (those that are still kept), then live ones until `untilNano` or the signal. */
  /** How many clients follow the events. */
  eventListeners(): number;
  events(
    options: { sinceNano?: bigint; untilNano?: bigint },
    signal: AbortSignal,
  ): AsyncIterable<EngineEvent>;
  systemCheck(options: { repair: boolean }): Promise<Finding[]>;
  /** IDs that have cgroups and processes although no container has them yet (ready-containers.ts). */
  readyContainers(): readonly string[];
  close(): Promise<void>;
}
