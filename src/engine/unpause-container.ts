import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { thawContainer } from "./freeze-container.ts";

/** Lets a paused container go on. @throws conflict when it is not paused */
export async function unpauseContainer(context: EngineContext, name: string): Promise<void> {
  const { id } = context.containers.find(name);
  if (await resumeIfPaused(context, id)) return;
  throw new TiffinError("conflict", `Container ${id} is not paused`);
}

/** Lets a container go on if it is paused: what is asked to end must be able to. Resolves to whether it was. */
export function resumeIfPaused(context: EngineContext, id: string): Promise<boolean> {
  return context.lock.hold(id, () => {
    const container = context.containers.withId(id);
    if (container?.state.status !== "paused") return false;
    thawContainer(context, id);
    faultPoint("unpause:thawed");
    context.containers.update(id, { state: { status: "running" } });
    emitContainerEvent(context, container, "unpause");
    return true;
  });
}
