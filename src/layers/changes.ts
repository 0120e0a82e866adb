import type { FileStatus } from "../kernel/files.ts";
import { S_IF } from "../kernel/flags.ts";
import { isOpaqueDirectory, isWhiteout } from "./stack.ts";
import type { Tree, TreeDirectory, TreeFile, TreePlace } from "./tree.ts";

/** Docker's numbers. */
export const CHANGE = { modified: 0, added: 1, deleted: 2 } as const;

/** One difference of a container's root from its image. */
export interface Change {
  readonly kind: (typeof CHANGE)[keyof typeof CHANGE];
  /** Absolute. */
  readonly path: string;
}

/** What a walk over the changes works with. */
export interface ChangedTree {
  /** The upper directory alone, plain: its whiteouts are seen. */
  readonly upper: Tree;
  /** The image's layers, merged. */
  readonly lower: Tree;
  /** Paths that the engine made as places of mounts ({@link engineMade}): no changes of the container. */
  readonly leftOut: ReadonlySet<string>;
}

/**
 * What a container has changed, as docker's `diff` tells it, in the order of the paths: `added` and `deleted` names; `modified`
 * for files that were written or whose attributes were changed, and for directories whose own attributes or time differ or in
 * which something was added or deleted. Reads the upper directory and looks names up in the layers; nothing is mounted.
 */
export function walkChanges(tree: ChangedTree, emit: (change: Change) => void): void {
  walk(tree, { upper: tree.upper.top, lower: tree.lower.top }, emit, () => {});
}

interface Places {
  readonly upper: TreePlace;
  /** The same directory of the image; null when it has none there. */
  readonly lower: TreePlace | null;
}

type Step = () => void;

/** `mark` is called before the first name that was added or deleted. */
function walk(tree: ChangedTree, places: Places, emit: (change: Change) => void, mark: Step): void {
  for (const step of stepsOf(tree, places, emit, mark)) step();
}

/** What is to be told of one directory, in order. The directories are closed again when this returns. */
function stepsOf(
  tree: ChangedTree,
  places: Places,
  emit: (change: Change) => void,
  mark: Step,
): Step[] {
  const upper = tree.upper.open(places.upper);
  if (upper === null) return [];
  const lower = places.lower === null ? null : tree.lower.open(places.lower);
  try {
    const names = new Map<string, Step>();
    const tell = (kind: Change["kind"], path: string): void => {
      if (kind !== CHANGE.modified) mark();
      emit({ kind, path: `/${path}` });
    };
    for (const { name, type, place } of upper.entries()) {
      const path = pathIn(upper, name);
      if (tree.leftOut.has(path)) continue;
      const before = lower?.lookup(name) ?? null;
      // Of all others the type tells enough.
      const now = place !== null || type === S_IF.CHR ? upper.lookup(name) : null;
      if (now !== null && isWhiteout(now.status)) {
        if (before !== null) names.set(name, () => tell(CHANGE.deleted, path));
      } else if (place === null) {
        const kind = before === null ? CHANGE.added : CHANGE.modified;
        names.set(name, () => tell(kind, path));
      } else if (now !== null) {
        const child = { upper: place, lower: before?.place ?? null };
        names.set(name, () => tellDirectory(tree, { child, before, now, path }, { tell, emit }));
      }
    }
    if (lower !== null && isOpaqueDirectory(upper.descriptor)) {
      for (const { name } of lower.entries()) {
        if (upper.lookup(name) === null) {
          names.set(name, () => tell(CHANGE.deleted, pathIn(upper, name)));
        }
      }
    }
    return [...names].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, step]) => step);
  } finally {
    upper.close();
    lower?.close();
  }
}

function tellDirectory(
  tree: ChangedTree,
  found: { child: Places; before: TreeFile | null; now: TreeFile; path: string },
  tellers: { tell: (kind: Change["kind"], path: string) => void; emit: (change: Change) => void },
): void {
  const { child, before, now, path } = found;
  let isTold = before === null || !isSame(before.status, now.status);
  if (isTold) tellers.tell(before === null ? CHANGE.added : CHANGE.modified, path);
  walk(tree, child, tellers.emit, () => {
    if (!isTold) tellers.tell(CHANGE.modified, path);
    isTold = true;
  });
}

/** The copy of a directory that overlayfs makes when something in it changes keeps all of these. */
function isSame(before: FileStatus, now: FileStatus): boolean {
  return hasSameOwner(before, now) && before.mtimeNs === now.mtimeNs;
}

function hasSameOwner(before: FileStatus, now: FileStatus): boolean {
  return before.mode === now.mode && before.uid === now.uid && before.gid === now.gid;
}

function pathIn({ path }: TreeDirectory, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

/**
 * Paths in an upper directory that are there because the engine mounts something on them (`/proc`, `/etc/hosts`): empty, and not in
 * the image; and directories that hold nothing else and are otherwise as the image has them. `mountPoints` without leading slashes.
 */
export function engineMade(
  trees: { readonly upper: Tree; readonly lower: Tree },
  mountPoints: readonly string[],
): Set<string> {
  const made = new Set<string>();
  const paths = new Set(mountPoints.flatMap(withAncestors));
  const deepestFirst = [...paths].sort((one, other) => depthOf(other) - depthOf(one));
  for (const path of deepestFirst) {
    const now = lookUp(trees.upper, path);
    if (now === null) continue;
    const before = lookUp(trees.lower, path);
    const isMountPoint = mountPoints.includes(path) && before === null;
    if (now.place === null) {
      if (isMountPoint && now.status.sizeBytes === 0 && !isWhiteout(now.status)) made.add(path);
      continue;
    }
    const children = childrenOf(trees.upper, now.place);
    const isOurs = children.every((child) => made.has(child));
    const isUnchanged = before === null || hasSameOwner(before.status, now.status);
    if (isOurs && (isMountPoint || (children.length > 0 && isUnchanged))) made.add(path);
  }
  return made;
}

function withAncestors(path: string): string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function depthOf(path: string): number {
  return path.split("/").length;
}

function lookUp(tree: Tree, path: string): TreeFile | null {
  let place: TreePlace | null = tree.top;
  let found: TreeFile | null = null;
  for (const name of path.split("/")) {
    const directory: TreeDirectory | null = place === null ? null : tree.open(place);
    if (directory === null) return null;
    try {
      found = directory.lookup(name);
    } finally {
      directory.close();
    }
    place = found?.place ?? null;
    if (found === null) return null;
  }
  return found;
}

function childrenOf(tree: Tree, place: TreePlace): string[] {
  const directory = tree.open(place);
  if (directory === null) return [];
  try {
    return directory.entries().map(({ name }) => `${place.path}/${name}`);
  } finally {
    directory.close();
  }
}
