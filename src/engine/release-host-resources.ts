import { rmSync } from "node:fs";
import { ERRNO } from "../base/errno.ts";
import { AT } from "../kernel/flags.ts";
import { syscallError, syscallRaw } from "../kernel/syscall.ts";
import { runDirectory } from "./container-directories.ts";
import type { EngineContext } from "./context.ts";
import { releaseVolumes } from "./mount-volumes.ts";
import { ATTACHMENT_FILES } from "./networks/attachment-file.ts";
import { leaveNetworks } from "./networks/leave-networks.ts";
import { deleteByRuntime } from "./runtime/run-runtime.ts";
import type { Places } from "./types.ts";

/** What a runtime keeps, cgroups (and whatever still runs in them), its part in networks, the use of volumes, and the run directory. Idempotent. */
export async function releaseHostResources(context: EngineContext, id: string): Promise<void> {
  await deleteByRuntime(context, id);
  await context.cgroups.end(id);
  leaveNetworks(context, id);
  await releaseVolumes(context, id);
  removeRunDirectory(context.places, id);
}

/** What a supervisor leaves there (native/supervise.c), and what the run has in networks. */
const RUN_FILES = ["s", "exit", "exit.tmp", ...ATTACHMENT_FILES];

/** Removes the run directory of a container or exec; what is not there is fine. */
export function removeRunDirectory(places: Places, id: string): void {
  const directory = runDirectory(places, id);
  const check = (result: number, path: string): void => {
    if (result < 0 && result !== -ERRNO.ENOENT)
      throw syscallError("unlinkat", result, `remove ${path}`);
  };
  for (const name of RUN_FILES) {
    const path = `${directory}/${name}`;
    check(syscallRaw("unlinkat", AT.FDCWD, path, 0), path);
  }
  const result = syscallRaw("unlinkat", AT.FDCWD, directory, AT.REMOVEDIR);
  // Of a runtime's container or exec: there is more.
  if (result === -ERRNO.ENOTEMPTY) rmSync(directory, { recursive: true, force: true });
  else check(result, directory);
}
