import { rmSync } from "node:fs";
import { containerDirectories } from "./container-directories.ts";
import type { EngineContext } from "./context.ts";

/** Cgroups (and whatever still runs in them), the run directory, execs. Idempotent. */
export async function releaseHostResources(context: EngineContext, id: string): Promise<void> {
  context.cgroups.kill(id);
  await context.cgroups.remove(id);
  context.execs.deleteOf(id);
  rmSync(containerDirectories(context.places, id).run, { recursive: true, force: true });
}
