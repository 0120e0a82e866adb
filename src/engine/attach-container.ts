import { TiffinError } from "../base/error.ts";
import type { Session } from "./attach-session.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { processOf } from "./start-container.ts";
import type { AttachRequest } from "./types.ts";

/** Attaches to a container that runs or will be started. @throws conflict when it is paused */
export function attachContainer(
  context: EngineContext,
  name: string,
  request: AttachRequest,
): Session {
  const container = context.containers.find(name);
  if (container.state.status === "paused") {
    throw new TiffinError("conflict", `Container ${container.id} is paused`, {
      hint: "Unpause the container before attach",
    });
  }
  if (container.state.status === "restarting") {
    throw new TiffinError(
      "conflict",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  const session = processOf(context, container).attach({
    ...request,
    stdin: request.stdin && container.spec.openStdin,
  });
  emitContainerEvent(context, container, "attach");
  return session;
}
