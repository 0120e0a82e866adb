import { closeSync, fstatSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syscallRaw } from "../kernel/syscall.ts";
import type { Places } from "./types.ts";

/*
 * A container can fill the disk that the state is on. Its end must be recorded all the same, and removing it must give the
 * space back: so the database has space of its own beforehand, and the next engine too.
 */

const FALLOC_FL_KEEP_SIZE = 1;
/** SQLite starts its log anew after 1,000 pages (wal_autocheckpoint). */
const LOG_BYTES = 4.5 * 1024 * 1024;
const GROWTH_BYTES = 1024 * 1024;
/** What an engine needs to open a database, and more. */
const START_BYTES = 512 * 1024;

function reserveFile({ root }: Places): string {
  return join(root, "reserve");
}

/** Gives the start of an engine the space that the last one kept for it. */
export function openReserve(places: Places): void {
  rmSync(reserveFile(places), { force: true });
}

/** Takes space for the open database and for the next start. Where there is none, or no fallocate(2), things go as they go. */
export function takeReserve(places: Places): void {
  allocate(join(places.root, "state.db"), GROWTH_BYTES);
  allocate(join(places.root, "state.db-wal"), LOG_BYTES);
  allocate(reserveFile(places), START_BYTES);
}

function allocate(path: string, bytes: number): void {
  const fd = openSync(path, "a", 0o600);
  try {
    syscallRaw("fallocate", fd, FALLOC_FL_KEEP_SIZE, 0, fstatSync(fd).size + bytes);
  } finally {
    closeSync(fd);
  }
}
