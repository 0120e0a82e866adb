import { isTiffinError, TiffinError } from "../base/error.ts";
import type { EngineContext } from "./context.ts";

const POLL_MS = 2;
const PATIENCE_MS = 10_000;

/**
 * Stops every process of a container where it is; resolves once they all stand.
 * @param action what it is for, after "Cannot": `pause`
 * @throws conflict when a process does not stop (one that waits for a disk that does not answer): all go on then
 */
export async function freezeContainer(
  context: EngineContext,
  id: string,
  action: string,
): Promise<void> {
  context.cgroups.freeze(id);
  const deadline = performance.now() + PATIENCE_MS;
  while (!context.cgroups.isFrozen(id)) {
    if (performance.now() > deadline) {
      thawContainer(context, id);
      throw new TiffinError(
        "conflict",
        `Cannot ${action} container ${id.slice(0, 12)}: its processes do not stop`,
        { hint: "One may be waiting for a disk or network file system that does not answer" },
      );
    }
    await Bun.sleep(POLL_MS);
  }
}

/** Lets a container's processes go on; one that has ended meanwhile has no group any more. */
export function thawContainer(context: EngineContext, id: string): void {
  try {
    context.cgroups.thaw(id);
  } catch (error) {
    const { code } = error as { code?: string };
    if (!isTiffinError(error, "not-found") && code !== "ENOENT" && code !== "ENODEV") throw error;
  }
}
