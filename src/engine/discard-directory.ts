import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../base/errno.ts";
import { renameat2Raw } from "../kernel/files.ts";
import { AT } from "../kernel/flags.ts";
import { syscallError } from "../kernel/syscall.ts";
import { removeTree } from "../layers/remove-tree.ts";
import type { Places } from "./types.ts";

/** Where directories wait for their deletion; emptied at the engine's start as well. */
export function trashDirectory(places: Places): string {
  return join(places.root, "trash");
}

/**
 * Takes a directory away at once (by renaming) and deletes it in the background. What a killed engine did not delete, the
 * next one does. Does nothing when it is not there.
 */
export function discardDirectory(places: Places, path: string): void {
  const trash = trashDirectory(places);
  const target = join(trash, randomUUID());
  if (!moveAway(path, target)) {
    if (!existsSync(path)) return;
    mkdirSync(trash, { recursive: true, mode: 0o700 });
    renameSync(path, target);
  }
  enqueue(target);
}

/** False when it is not there, or the trash is not. */
function moveAway(path: string, target: string): boolean {
  const result = renameat2Raw([AT.FDCWD, path], [AT.FDCWD, target], 0);
  if (result < 0 && result !== -ERRNO.ENOENT)
    throw syscallError("rename", result, `remove ${path}`);
  return result >= 0;
}

/** Directories that wait, and when the engine turns to them: once nothing was discarded for a while, or when they are many. */
const waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
const PAUSE_MS = 1000;
const MANY = 64;

function enqueue(target: string): void {
  waiting.push(target);
  if (timer !== undefined && waiting.length > MANY) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = undefined;
    void deleteWaiting();
  }, PAUSE_MS);
  timer.unref();
}

async function deleteWaiting(): Promise<void> {
  for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
    await deleteDirectory(target);
  }
}

/** Deletes what an earlier engine left in the trash. */
export function emptyTrash(places: Places): void {
  const trash = trashDirectory(places);
  if (!existsSync(trash)) return;
  for (const name of readdirSync(trash)) void deleteDirectory(join(trash, name));
}

async function deleteDirectory(path: string): Promise<void> {
  await removeTree(path).catch((error: unknown) => {
    console.error(`tiffin: cannot delete ${path}; the next start tries again:`, error);
  });
}
