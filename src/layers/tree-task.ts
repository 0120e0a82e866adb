import type { Change } from "./changes.ts";
import type { StackRoot } from "./mount-stack.ts";
import type { PathStatus } from "./resolve-path.ts";
import type { PlainError } from "./unpack-message.ts";

/**
 * Where a container's tree is: descriptors of the root of one that runs and of its mount namespace, or what the root of another is
 * mounted from.
 */
export type TreeRoot =
  | { readonly descriptor: number; readonly namespace: number }
  | { readonly stack: StackRoot };

/** A container's own layer: its upper directory over the image's layers (host paths, the lowest first). */
export interface OwnLayer {
  readonly upper: string;
  readonly layers: readonly string[];
  /** Where the engine mounts its own things, without leading slashes. */
  readonly mountPoints: readonly string[];
}

/** A file or directory of the host, itself no link that is followed, and what it is called in the container. */
export interface HostSource {
  readonly path: string;
  readonly base: string;
}

/** A directory of the host, and what the copy is called there. */
export interface HostTarget {
  readonly directory: string;
  readonly base: string;
}

export interface PathTask {
  readonly root: TreeRoot;
  readonly path: string;
  readonly idBase: number;
}

export interface WriteTask extends PathTask {
  /** Ids as in the container. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly keepsKinds: boolean;
}

/** A piece of work on a container's files, for the thread that does it. */
export type TreeTask =
  | { readonly kind: "stat"; readonly root: TreeRoot; readonly path: string }
  /** The status of a path, then an archive of it. */
  | (PathTask & { readonly kind: "read" })
  /** Unpacks the archive that is fed to the thread. */
  | (WriteTask & { readonly kind: "write" })
  /** What a `write` of an archive of a host path would do, without the archive. */
  | (WriteTask & { readonly kind: "copy-in"; readonly host: HostSource })
  /** What unpacking the archive of a `read` on the host would do, as this process; owners and attributes stay behind. */
  | (PathTask & { readonly kind: "copy-out"; readonly host: HostTarget })
  /** An archive of the root without what is mounted in it. */
  | { readonly kind: "export"; readonly layer: OwnLayer }
  /** An archive of what was changed, in the image specification's form; none when nothing was. */
  | { readonly kind: "layer"; readonly layer: OwnLayer }
  | { readonly kind: "changes"; readonly layer: OwnLayer }
  /** The archive that an image's layer was unpacked from (tar-recipe.ts); its digest is verified. */
  | {
      readonly kind: "rebuild";
      readonly directory: string;
      readonly recipe: string;
      readonly diffId: string;
    };

/** What a task gives, in the order in which it comes. */
export type TreeResult =
  | { readonly kind: "status"; readonly status: PathStatus }
  | { readonly kind: "chunk"; readonly data: Uint8Array }
  | { readonly kind: "changes"; readonly changes: readonly Change[] };

/** From the engine's thread to the worker; the chunks of an archive follow the start of a `write`. */
export type ToTreeWorker =
  | { readonly kind: "start"; readonly task: TreeTask; readonly cancelled: Int32Array }
  | { readonly kind: "chunk"; readonly data: Uint8Array }
  | { readonly kind: "end" }
  /** So many bytes of results were used. */
  | { readonly kind: "used"; readonly bytes: number }
  /** Wakes a worker that waits; `cancelled` says the same to a busy one. */
  | { readonly kind: "cancel" };

export type FromTreeWorker =
  | TreeResult
  /** So many bytes of the input were taken. */
  | { readonly kind: "taken"; readonly bytes: number }
  /** `reusable`: the thread is as it was before. */
  | { readonly kind: "done"; readonly reusable: boolean }
  | { readonly kind: "failed"; readonly error: PlainError; readonly reusable: boolean };
