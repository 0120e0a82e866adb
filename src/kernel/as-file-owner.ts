import { call, type Operation } from "../base/operation.ts";
import { PR, SECBIT_NO_SETUID_FIXUP } from "./flags.ts";

/**
 * The steps taken as a container's root over files: what is made meanwhile belongs to that id, as user and as group, and the
 * capabilities stay (credentials(7), SECBIT_NO_SETUID_FIXUP), which is less than a chown of each. 0: as the engine.
 */
export function asFileOwner(id: number, steps: readonly Operation[]): Operation[] {
  if (id === 0) return [...steps];
  return [
    call(
      "prctl",
      [PR.SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0],
      "keep capabilities over files across a change of id",
    ),
    call("setfsgid", [id], "make files as the container's root group"),
    call("setfsuid", [id], "make files as the container's root"),
    ...steps,
    call("setfsuid", [0], "be the host's root over files again"),
    call("setfsgid", [0], "be the host's root group over files again"),
    call("prctl", [PR.SET_SECUREBITS, 0, 0, 0, 0], "let a change of id drop capabilities again"),
  ];
}
