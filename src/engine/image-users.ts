import type { ImageUser } from "../images/plan-removal.ts";
import type { EngineContext } from "./context.ts";

/** The containers that were made from an image. */
export function imageUsers({ containers }: EngineContext, imageId: string): ImageUser[] {
  return containers
    .all()
    .filter((container) => container.imageId === imageId)
    .map(({ id, state }) => ({ id, running: state.pid !== 0 }));
}
