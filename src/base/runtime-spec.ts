/**
 * What a bundle's config.json says (runtime-spec 1.3.0: config.md, config-linux.md). Names are the specification's. Numbers
 * beyond 2^53 come as bigint.
 */
export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly mounts?: readonly SpecMount[];
  readonly process?: SpecProcess;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly hooks?: SpecHooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: SpecLinux;
}

export type Integer = number | bigint;

export interface SpecMount {
  readonly destination: string;
  readonly source?: string;
  readonly type?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

export interface SpecProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly cwd: string;
  readonly env?: readonly string[];
  readonly args?: readonly string[];
  readonly user?: SpecUser;
  readonly rlimits?: readonly SpecRlimit[];
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly capabilities?: SpecCapabilities;
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  readonly scheduler?: SpecScheduler;
  readonly ioPriority?: { readonly class: string; readonly priority?: number };
  readonly execCPUAffinity?: { readonly initial?: string; readonly final?: string };
}

export interface SpecUser {
  readonly uid?: number;
  readonly gid?: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

export interface SpecRlimit {
  readonly type: string;
  readonly soft: Integer;
  readonly hard: Integer;
}

export interface SpecCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly permitted?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface SpecScheduler {
  readonly policy: string;
  readonly nice?: number;
  readonly priority?: number;
  readonly flags?: readonly string[];
  readonly runtime?: Integer;
  readonly deadline?: Integer;
  readonly period?: Integer;
}

export type HookKind =
  | "prestart"
  | "createRuntime"
  | "createContainer"
  | "startContainer"
  | "poststart"
  | "poststop";

export type SpecHooks = Readonly<Partial<Record<HookKind, readonly SpecHook[]>>>;

export interface SpecHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export interface SpecLinux {
  readonly namespaces?: readonly SpecNamespace[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  readonly timeOffsets?: Readonly<
    Record<string, { readonly secs?: Integer; readonly nanosecs?: number }>
  >;
  readonly devices?: readonly SpecDevice[];
  readonly netDevices?: Readonly<Record<string, { readonly name?: string }>>;
  readonly cgroupsPath?: string;
  readonly resources?: SpecResources;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly seccomp?: SpecSeccomp;
  readonly rootfsPropagation?: string;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] };
  readonly intelRdt?: object;
  readonly memoryPolicy?: {
    readonly mode: string;
    readonly nodes?: string;
    readonly flags?: readonly string[];
  };
}

export interface SpecNamespace {
  readonly type: string;
  readonly path?: string;
}

export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface SpecDevice {
  readonly type: string;
  readonly path: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface SpecResources {
  readonly devices?: readonly SpecDeviceRule[];
  readonly memory?: SpecMemory;
  readonly cpu?: SpecCpu;
  readonly pids?: { readonly limit?: Integer };
  readonly blockIO?: SpecBlockIo;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: Integer }[];
  readonly network?: {
    readonly classID?: number;
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
  };
  readonly rdma?: Readonly<
    Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>
  >;
  readonly unified?: Readonly<Record<string, string>>;
}

export interface SpecDeviceRule {
  readonly allow?: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access?: string;
}

export interface SpecMemory {
  readonly limit?: Integer;
  readonly reservation?: Integer;
  readonly swap?: Integer;
  readonly kernel?: Integer;
  readonly kernelTCP?: Integer;
  readonly swappiness?: Integer;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  readonly checkBeforeUpdate?: boolean;
}

export interface SpecCpu {
  readonly shares?: Integer;
  readonly quota?: Integer;
  readonly burst?: Integer;
  readonly period?: Integer;
  readonly realtimeRuntime?: Integer;
  readonly realtimePeriod?: Integer;
  readonly cpus?: string;
  readonly mems?: string;
  readonly idle?: Integer;
}

export interface DeviceRate {
  readonly major: number;
  readonly minor: number;
  readonly rate: Integer;
}

export interface SpecBlockIo {
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly {
    readonly major: number;
    readonly minor: number;
    readonly weight?: number;
    readonly leafWeight?: number;
  }[];
  readonly throttleReadBpsDevice?: readonly DeviceRate[];
  readonly throttleWriteBpsDevice?: readonly DeviceRate[];
  readonly throttleReadIOPSDevice?: readonly DeviceRate[];
  readonly throttleWriteIOPSDevice?: readonly DeviceRate[];
}

export interface SpecSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly object[];
}
