import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
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
  if (!existsSync(path)) return;
  const trash = trashDirectory(places);
  mkdirSync(trash, { recursive: true, mode: 0o700 });
  const target = join(trash, randomUUID());
  renameSync(path, target);
  enqueue(target);
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
