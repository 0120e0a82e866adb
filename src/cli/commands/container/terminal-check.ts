import type { Context } from "../../command.ts";
import { failure } from "../../failure.ts";

/** A terminal in the container is of no use when the keyboard is a file. @throws in docker's words */
export async function checkTerminal(
  context: Context,
  wanted: { readonly AttachStdin: boolean; readonly Tty: boolean },
): Promise<void> {
  if (wanted.AttachStdin && wanted.Tty && !(await context.world.output.inIsTerminal())) {
    throw failure("the input device is not a TTY");
  }
}
