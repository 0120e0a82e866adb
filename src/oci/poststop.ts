import { messageOf } from "../base/error.ts";
import type { ContainerState } from "./container-status.ts";
import { runHooks } from "./hooks.ts";
import type { RuntimeSpec } from "../base/runtime-spec.ts";

/** "If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks … continue" (runtime.md). */
export function runPoststop(
  spec: RuntimeSpec,
  state: ContainerState,
  warn: (text: string) => void,
): void {
  for (const hook of spec.hooks?.poststop ?? []) {
    try {
      runHooks("poststop", [hook], state);
    } catch (error) {
      warn(messageOf(error));
    }
  }
}
