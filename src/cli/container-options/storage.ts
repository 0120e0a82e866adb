import { parseBinarySize } from "../../base/size.ts";
import { collect, type Flag, list, parsed, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { toMap } from "./key-values.ts";
import { type Mount, parseMount } from "./mount.ts";
import { parseVolume } from "./volume.ts";

const bytes = { type: "bytes", initial: 0, parse: parseBinarySize };

const FLAGS = {
  mount: collect<Mount>("mount", "Attach a filesystem mount to the container", {
    type: "mount",
    parse: parseMount,
    local: (value) => /(?:source|src)=\./i.test(value),
  }),
  readOnly: toggle("read-only", "Mount the container's root filesystem as read only"),
  shmSize: parsed("shm-size", "Size of /dev/shm", bytes),
  storageOpt: list("storage-opt", "Storage driver options for the container"),
  tmpfs: list("tmpfs", "Mount a tmpfs directory"),
  volume: list(
    "volume",
    'Bind mount a volume; the option "me" makes its owner on the host and the container\'s user the same person',
    { short: "v", local: (value) => value.startsWith(".") },
  ),
  volumeDriver: text("volume-driver", "Optional volume driver for the container"),
  volumesFrom: list("volumes-from", "Mount volumes from the specified container(s)"),
} as const;

/** The options about what the container sees as files. */
export const STORAGE_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

/** Config.Volumes and their part of HostConfig. @throws in docker's words */
export function storageConfig(given: Arguments): {
  volumes: Record<string, object>;
  host: Record<string, unknown>;
} {
  const { binds, anonymous } = volumes(given.get(FLAGS.volume));
  const storage = given.get(FLAGS.storageOpt);
  if (storage.some((option) => !option.includes("="))) throw new Error("invalid storage option");
  const volumesFrom = given.get(FLAGS.volumesFrom);
  const host = {
    Binds: binds.length === 0 ? null : binds,
    VolumeDriver: given.get(FLAGS.volumeDriver),
    VolumesFrom: volumesFrom.length === 0 ? null : volumesFrom,
    ReadonlyRootfs: given.get(FLAGS.readOnly),
    ShmSize: given.get(FLAGS.shmSize),
    ...(storage.length === 0 ? {} : { StorageOpt: toMap(storage) }),
    ...(given.get(FLAGS.tmpfs).length === 0 ? {} : { Tmpfs: tmpfs(given.get(FLAGS.tmpfs)) }),
    ...(given.get(FLAGS.mount).length === 0 ? {} : { Mounts: given.get(FLAGS.mount) }),
  };
  return { volumes: anonymous, host };
}

function volumes(specs: readonly string[]): { binds: string[]; anonymous: Record<string, object> } {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const spec of new Set(specs)) {
    const volume = parseVolume(spec);
    if ("bind" in volume) binds.push(volume.bind);
    else anonymous[volume.anonymous] = {};
  }
  return { binds, anonymous };
}

function tmpfs(specs: readonly string[]): Record<string, string> {
  const entries = specs.map((spec): [string, string] => {
    const colon = spec.indexOf(":");
    return colon < 0 ? [spec, ""] : [spec.slice(0, colon), spec.slice(colon + 1)];
  });
  return Object.fromEntries(entries);
}
