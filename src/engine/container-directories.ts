import { join } from "node:path";
import type { Places } from "./types.ts";

/** Where a container's files are, all below names that carry its ID. */
export interface ContainerDirectories {
  /** Survives a reboot: the writable layer, the log, the files that are mounted over /etc. */
  readonly state: string;
  /** upper/ and work/ of its root. */
  readonly writable: string;
  readonly logs: string;
  /** hosts, hostname, resolv.conf */
  readonly files: string;
  /** Its supervisor's socket `s` and exit record `exit`. */
  readonly run: string;
}

export function containersDirectory(places: Places): string {
  return join(places.root, "containers");
}

export function containerDirectories(places: Places, id: string): ContainerDirectories {
  const state = join(containersDirectory(places), id);
  return {
    state,
    writable: join(state, "rw"),
    logs: join(state, "logs"),
    files: join(state, "files"),
    run: runDirectory(places, id),
  };
}

/** The run directory of a container or exec (both have IDs of 64 digits). */
export function runDirectory(places: Places, id: string): string {
  return join(places.run, "processes", id);
}
