import type { Resources } from "../cgroups/resources.ts";
import type { NetworkRate } from "../base/network-rate.ts";
import type { PortBindings } from "../network/published-ports.ts";
import type { ResolverSettings } from "../network/resolv-conf.ts";

export type ContainerStatus =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

/** A mount that the user asked for. `asked` keeps the option's form, so that inspect can show it again. */
export interface MountSpec {
  readonly asked: "volume-flag" | "mount-flag" | "tmpfs-flag";
  readonly type: "bind" | "tmpfs" | "volume";
  /** Host path (bind), volume name (volume, "" is anonymous), empty (tmpfs). */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** private, rprivate, slave, rslave, shared, rshared; "" is the default (rprivate). */
  readonly propagation: string;
  /** Make the host directory when it is missing (docker's -v does, --mount does not). */
  readonly createSource: boolean;
  /** `:me`: the owner of the host directory and the container's user are the same person, both ways. */
  readonly asOwner: boolean;
  /** tmpfs: mount options such as `size=64m`, `mode=1770`, `noexec`. Else docker's further words (`z`, `Z`, `nocopy`). */
  readonly options: readonly string[];
  /** What stood behind the paths of a -v, as it was written. */
  readonly words?: string;
  /** Of a bind; absent: all that is mounted below comes along, and is read-only when the bind is. */
  readonly bind?: BindRequest;
  /** Of a volume; absent: nothing beyond its name. */
  readonly volume?: VolumeRequest;
}

export interface BindRequest {
  /** What is mounted below the source does not come along. */
  readonly nonRecursive: boolean;
  /** A read-only bind's submounts: "writable" leaves them, "readonly" insists on what is the default here. */
  readonly submounts: "" | "writable" | "readonly";
}

/** How a volume is made when it is not there, and what of it is mounted. */
export interface VolumeRequest {
  /** "" is the local one. */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Below the volume's root; "" is all of it. */
  readonly subpath: string;
}

/** A mount as it was settled at create: volumes by their names, those of the image and of other containers among them. */
export interface MountPoint extends Omit<MountSpec, "asked"> {
  readonly asked: MountSpec["asked"] | "image" | "volumes-from";
  /** A volume without a name of the user's: it goes with the container (rm -v). */
  readonly anonymous: boolean;
  /** docker's Mode: the words that stood behind the paths. */
  readonly mode: string;
}

/** One network that a container is to be in, and what it asks for there. "", [] and {} are "not asked for". */
export interface NetworkRequest {
  /** Name or ID, as the user wrote it. */
  readonly network: string;
  /** Names that it has there beside its own. */
  readonly aliases: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
  readonly driverOptions: Readonly<Record<string, string>>;
  /** `NAME:ALIAS`: what it calls others there. */
  readonly links: readonly string[];
  /** The default routes go through the network of the highest. */
  readonly gatewayPriority: number;
}

export interface DeviceSpec {
  readonly hostPath: string;
  readonly containerPath: string;
  /** Any of `r`, `w`, `m`. */
  readonly access: string;
}

export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What the user asked for, merged with the image's configuration at create; it does not change afterwards. */
export interface ContainerSpec {
  /** As the user wrote it. */
  readonly image: string;
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly groupAdd: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
  readonly tty: boolean;
  /** Of the terminal at the start; 0, 0: unknown. */
  readonly terminalSize: TerminalSize;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** "" is SIGTERM. */
  readonly stopSignal: string;
  /** null is 10 s. */
  readonly stopTimeoutSeconds: number | null;
  readonly exposedPorts: readonly string[];
  /** Paths of the image's (or --volume's) anonymous volumes. */
  readonly volumes: readonly string[];
  readonly autoRemove: boolean;
  readonly init: boolean;
  readonly readOnlyRootfs: boolean;
  readonly privileged: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly securityOptions: readonly string[];
  readonly mounts: readonly MountSpec[];
  /** `CONTAINER[:MODE]`: whose mounts this one has too. */
  readonly volumesFrom: readonly string[];
  /** Of volumes that are made for it; "" is the local one. */
  readonly volumeDriver: string;
  /** What the engine makes at create of mounts, volumes and volumesFrom; empty before. */
  readonly mountPoints: readonly MountPoint[];
  readonly devices: readonly DeviceSpec[];
  /** "" is private. host, container:ID, for ipc also shareable, none, private. */
  readonly pidMode: string;
  readonly ipcMode: string;
  readonly utsMode: string;
  /** "" is a range of its own; host. */
  readonly usernsMode: string;
  /** "" is private; host, private. */
  readonly cgroupnsMode: string;
  /** default, bridge, none, host, container:ID, ns:PATH, or the name of a network. */
  readonly networkMode: string;
  /** That of the mode and further ones; null is that of the mode alone, [] none (any more). */
  readonly networks: readonly NetworkRequest[] | null;
  /** By `80/tcp`: where on the host. */
  readonly portBindings: PortBindings;
  /** Publish every exposed port. */
  readonly publishAll: boolean;
  /** What it asks for of /etc/resolv.conf; [] is what the host has. */
  readonly resolver: ResolverSettings;
  /** `NAME:ADDRESS`, with `host-gateway` for the host's. */
  readonly extraHosts: readonly string[];
  /** `NAME:ALIAS` on the default bridge: what it calls others. */
  readonly links: readonly string[];
  /** Of each of its interfaces; null: as fast as can be. */
  readonly networkRate: NetworkRate | null;
  readonly ulimits: readonly Ulimit[];
  readonly sysctls: Readonly<Record<string, string>>;
  /** 0 is 64 MiB. */
  readonly shmBytes: number;
  /** Seconds by which the container's monotonic and boot-time clocks differ from the host's. */
  readonly timeOffsetSeconds: number;
  readonly resources: Resources;
  /** Path of the cgroup that its own is below; "" is the engine's. */
  readonly cgroupParent: string;
  /** `c 1:3 rwm`: devices that it may use beside the usual ones. */
  readonly deviceCgroupRules: readonly string[];
  readonly oomScoreAdjust: number;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly restartPolicy: { readonly name: string; readonly maximumRetryCount: number };
  /** null: the image's. */
  readonly healthcheck: HealthCheck | null;
  readonly onUnhealthy: UnhealthyAction;
  /** The longest time that a run may take; 0: any. */
  readonly longestRunMs: number;
  readonly annotations: Readonly<Record<string, string>>;
  /** The OCI runtime that makes it: a name or a path; "" is the engine itself. */
  readonly runtime: string;
}

/**
 * Who ended a container's run, recorded before its process is told: "" is itself (or an accident), "user" is docker's "manually
 * stopped", after "user-restart" the user's start follows.
 */
export type EndCause =
  | ""
  | "user"
  | "user-restart"
  | "unhealthy-restart"
  | "unhealthy-stop"
  | "unhealthy-kill"
  | "timeout";

/** What tells whether a container does its work; 0 and [] stand for "not said". */
export interface HealthCheck {
  /**
   * docker's `["CMD", ...words]`, `["CMD-SHELL", line]` and `["NONE"]`; ours, from inside of the container's network namespace:
   * `["HTTP", target]` and `["TCP", target]`.
   */
  readonly test: readonly string[];
  readonly intervalNano: number;
  readonly timeoutNano: number;
  readonly startPeriodNano: number;
  readonly startIntervalNano: number;
  readonly retries: number;
  /** What runs a CMD-SHELL's line, when the image says so. */
  readonly shell?: readonly string[];
}

export type HealthStatus = "starting" | "healthy" | "unhealthy";

export interface HealthResult {
  readonly start: string;
  readonly end: string;
  /** 0 is healthy; -1: the check itself failed, or took too long. */
  readonly exitCode: number;
  readonly output: string;
}

export interface Health {
  readonly status: HealthStatus;
  /** Failures in a row. */
  readonly failingStreak: number;
  /** The last five, oldest first. */
  readonly log: readonly HealthResult[];
}

/** What is done to a container that turns unhealthy; "": nothing. */
export type UnhealthyAction = "" | "restart" | "stop" | "kill";

export interface ContainerState {
  readonly status: ContainerStatus;
  /** Of the container's first process, on the host; 0 when it does not run. */
  readonly pid: number;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Why it could not be started, or "". */
  readonly error: string;
  /** ISO 8601 with nanoseconds; "0001-01-01T00:00:00Z" is never. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Bytes of its log that a full disk cost in its last run; absent: none. */
  readonly lostLogBytes?: number;
  readonly endCause: EndCause;
  /** Restarts by the policy since a user started it. */
  readonly restartCount: number;
  /** The last pause before a restart, without its jitter; 0 after a good run. */
  readonly backoffMs: number;
  /** When a restarting container starts again. This and the next are times of the machine's monotonic clock. */
  readonly restartDueMs: number;
  readonly startedMonotonicMs: number;
}

export interface Container {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Without docker's leading slash. */
  readonly name: string;
  readonly createdAt: string;
  readonly imageId: string;
  readonly spec: ContainerSpec;
  readonly state: ContainerState;
  /** null: it has no check, or never ran. */
  readonly health: Health | null;
  /** First host id of the container's range of 65,536; 0 without a user namespace. */
  readonly idBase: number;
  readonly logPath: string;
}

export type OutputStream = "stdout" | "stderr";

export interface OutputChunk {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
}

/** A live connection to a container's or exec's streams. */
export interface AttachSession {
  /** Ends when the process has exited and all its output was delivered, after `close`, or at the detach keys. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when more may be written. */
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  close(): void;
}

export interface AttachRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Replay the log first. */
  readonly logs: boolean;
  /** Stay connected. */
  readonly stream: boolean;
  /** "" is ctrl-p,ctrl-q. */
  readonly detachKeys: string;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly tty: boolean;
  readonly terminalSize: TerminalSize;
  readonly privileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly detachKeys: string;
  /** The engine's own, for a health check: gone once it has ended. */
  readonly isHealthCheck?: boolean;
}

export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly spec: ExecSpec;
  readonly running: boolean;
  readonly pid: number;
  readonly exitCode: number | null;
}

/** One event, in docker's words (https://docs.docker.com/reference/api/engine, "Monitor events"). */
export interface EngineEvent {
  readonly type: "container" | "image" | "volume" | "network" | "daemon";
  readonly action: string;
  readonly actorId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch. */
  readonly timeNano: bigint;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface WaitResult {
  readonly exitCode: number;
  readonly error?: string;
}

/** Where an engine keeps its things; engines with different places do not touch each other. */
export interface Places {
  /** State that survives a reboot: /var/lib/tiffin. */
  readonly root: string;
  /** Run-time files: /run/tiffin. */
  readonly run: string;
  /** Path of the API's unix socket. */
  readonly socket: string;
}
