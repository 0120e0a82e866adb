import type {
  RuntimeSpec,
  SpecLinux,
  SpecMount,
  SpecNamespace,
  SpecProcess,
  SpecResources,
  SpecSeccomp,
} from "../../base/runtime-spec.ts";
import { RANGE_SIZE } from "../../namespaces/id-range.ts";
import type { DeviceNode } from "../../namespaces/devices.ts";
import type { JoinTarget, NamespacePlan } from "../../namespaces/namespaces.ts";
import { CLONE } from "../../kernel/flags.ts";

export interface RuntimeConfigParts {
  readonly rootPath: string;
  readonly readOnlyRoot: boolean;
  readonly process: SpecProcess;
  readonly hostname: string;
  readonly domainname: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly mounts: readonly SpecMount[];
  readonly rootPropagation: string | undefined;
  readonly namespaces: NamespacePlan;
  /** By container ID: the first process of those that are joined. */
  readonly joinPids: ReadonlyMap<string, number>;
  /** First host id of the container's range; 0 without a user namespace. */
  readonly idBase: number;
  readonly cgroupsPath: string;
  readonly resources: SpecResources;
  readonly devices: readonly DeviceNode[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly seccomp: SpecSeccomp | undefined;
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
}

/** Which release's rules the file follows: what all runtimes of today know. */
const VERSION = "1.0.2";

/** The config.json of a container's bundle (runtime-spec config.md). Pure. */
export function runtimeConfig(parts: RuntimeConfigParts): RuntimeSpec {
  const { namespaces, annotations, domainname } = parts;
  const ownUts = namespaces.uts === "own";
  return {
    ociVersion: VERSION,
    process: parts.process,
    root: { path: parts.rootPath, readonly: parts.readOnlyRoot },
    ...(ownUts && parts.hostname !== "" ? { hostname: parts.hostname } : {}),
    ...(ownUts && domainname !== "" ? { domainname } : {}),
    mounts: parts.mounts,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    linux: linuxPart(parts),
  };
}

/** As the text of the file: numbers beyond 2^53 (limits that are none) come out whole. */
export function configText(config: RuntimeSpec | SpecProcess): string {
  const marked = JSON.stringify(
    config,
    (_, value: unknown) => (typeof value === "bigint" ? `\u0001${value}\u0001` : value),
    2,
  );
  return `${marked.replace(/"\\u0001(\d+)\\u0001"/g, "$1")}\n`;
}

function linuxPart(parts: RuntimeConfigParts): SpecLinux {
  const { idBase, rootPropagation, seccomp, devices, sysctls } = parts;
  const mapping = [{ containerID: 0, hostID: idBase, size: RANGE_SIZE }];
  return {
    namespaces: namespaceList(parts),
    ...(idBase === 0 ? {} : { uidMappings: mapping, gidMappings: mapping }),
    cgroupsPath: parts.cgroupsPath,
    resources: parts.resources,
    ...(devices.length === 0
      ? {}
      : {
          devices: devices.map(({ path, type, major, minor, mode, uid, gid }) => ({
            path,
            type,
            major,
            minor,
            fileMode: mode,
            uid,
            gid,
          })),
        }),
    ...(Object.keys(sysctls).length === 0 ? {} : { sysctl: sysctls }),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(rootPropagation === undefined ? {} : { rootfsPropagation: rootPropagation }),
    maskedPaths: parts.maskedPaths,
    readonlyPaths: parts.readOnlyPaths,
  };
}

const KINDS: readonly (readonly [flag: bigint, type: string, file: string])[] = [
  [CLONE.NEWPID, "pid", "pid"],
  [CLONE.NEWNET, "network", "net"],
  [CLONE.NEWIPC, "ipc", "ipc"],
  [CLONE.NEWUTS, "uts", "uts"],
  [CLONE.NEWUSER, "user", "user"],
];

/** New ones without a path, those of other containers by that of their first process; what is not named is the host's. */
function namespaceList({ namespaces, joinPids }: RuntimeConfigParts): SpecNamespace[] {
  const path = ({ id }: JoinTarget, file: string): string => `/proc/${joinPids.get(id)}/ns/${file}`;
  const joined = namespaces.joins.flatMap(({ target, flags }) =>
    KINDS.filter(([flag]) => (flags & flag) !== 0n).map(([, type, file]) => ({
      type,
      path: path(target, file),
    })),
  );
  return [
    { type: "mount" },
    ...KINDS.filter(([flag]) => (namespaces.cloneFlags & flag) !== 0n).map(([, type]) => ({
      type,
    })),
    ...joined,
    ...(namespaces.newCgroup ? [{ type: "cgroup" }] : []),
  ];
}
