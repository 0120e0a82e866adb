import type { Volume } from "../volumes/index.ts";
import type { EngineContext } from "./context.ts";
import { createVolume } from "./create-volume.ts";
import { pruneVolumes, volumeSize } from "./prune-volumes.ts";
import { removeVolume } from "./remove-volume.ts";
import { volumeUsers } from "./volume-users.ts";

export interface VolumeCreation {
  /** "": anonymous, with a name of 64 hexadecimal digits. */
  readonly name: string;
  /** "" is local, the only one there is. */
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

export interface Pruned {
  readonly removed: string[];
  readonly reclaimedBytes: number;
}

/** What the engine does with volumes. */
export interface VolumeVerbs {
  /** Oldest first. */
  all(): Volume[];
  /** @throws not-found */
  find(name: string): Volume;
  /** One of that name that is there already is the answer. @throws invalid-argument */
  create(request: VolumeCreation): Promise<Volume>;
  /** @throws conflict when a container has it; not-found unless `force` */
  remove(name: string, options: { force: boolean }): Promise<void>;
  /** Removes those wanted that no container has. `dryRun`: only says which, and how much that would free. */
  prune(isWanted: (volume: Volume) => boolean, options: { dryRun: boolean }): Promise<Pruned>;
  /** Host path of the content; what options mount is there while a container uses it. */
  path(name: string): string;
  /** IDs of the containers that have it, running or not. */
  users(name: string): string[];
  /** Bytes in its files; -1 when its directory is missing. */
  size(name: string): Promise<number>;
}

export function volumeVerbs(context: EngineContext): VolumeVerbs {
  return {
    all: () => context.volumes.all(),
    find: (name) => context.volumes.find(name),
    create: (request) => createVolume(context, request),
    remove: (name, options) => removeVolume(context, name, options),
    prune: (isWanted, options) => pruneVolumes(context, isWanted, options),
    path: (name) => context.volumes.dataPath(name),
    users: (name) => volumeUsers(context, name),
    size: (name) => volumeSize(context, name),
  };
}
