import { TiffinError, invalidArgument } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { checkName } from "./container-name.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { checkFree } from "./create-container.ts";

/**
 * Gives a container another name; it may run meanwhile.
 * @param newName may have docker's leading slash
 * @throws already-exists; invalid-argument; conflict when it is being removed
 */
export function renameContainer(
  context: EngineContext,
  name: string,
  newName: string,
): Promise<void> {
  if (name === "" || newName === "") {
    throw invalidArgument("Neither old nor new names may be empty");
  }
  const { id } = context.containers.find(name);
  const wanted = newName.replace(/^\//, "");
  return context.lock.hold("create", () =>
    context.lock.hold(id, () => {
      const container = context.containers.find(id);
      if (container.phase === "removing") {
        throw new TiffinError("conflict", "Container is marked for removal and cannot be renamed");
      }
      if (container.name === wanted) {
        throw invalidArgument("Renaming a container with the same name as its current name");
      }
      allocate(context, wanted);
      const renamed = context.containers.rename(id, wanted);
      faultPoint("rename:recorded");
      emitContainerEvent(context, renamed, "rename", { oldName: `/${container.name}` });
    }),
  );
}

function allocate(context: EngineContext, wanted: string): void {
  try {
    checkName(wanted);
    checkFree(context, wanted);
  } catch (error) {
    if (!(error instanceof TiffinError)) throw error;
    throw new TiffinError(error.code, `Error when allocating new name: ${error.message}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
