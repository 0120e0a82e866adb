import type { Context } from "../../command.ts";
import { failure } from "../../failure.ts";

/** A terminal in the container is of no use when the keyboard is a file. @throws in docker's words */
export function checkTerminal(
  context: Context,
  wanted: { readonly AttachStdin: boolean; readonly Tty: boolean },
): void {
  if (wanted.AttachStdin && wanted.Tty && !context.world.output.inIsTerminal) {
    throw failure("the input device is not a TTY");
  }
}
