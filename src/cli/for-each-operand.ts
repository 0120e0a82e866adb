import { messageOf } from "../base/error.ts";
import type { Context } from "./command.ts";
import { joined } from "./failure.ts";

/** So many requests are under way at once. */
const LIMIT = 50;

/**
 * Does something to each operand, many at a time, and prints in the order asked for: the operand when it worked, all the
 * errors at the end.
 *
 * @param fine of an error that is no failure: whether it is told
 * @throws the errors joined
 */
export async function forEachOperand(
  context: Context,
  action: (operand: string) => Promise<unknown>,
  fine: (error: unknown) => "told" | "ignored" | undefined = () => undefined,
): Promise<number> {
  const { operands } = context.arguments;
  const results: Promise<unknown>[] = [];
  let running = 0;
  const waiting: (() => void)[] = [];
  const limited = async (operand: string): Promise<unknown> => {
    if (running >= LIMIT) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      await action(operand);
      return undefined;
    } catch (error) {
      return error;
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
  for (const operand of operands) results.push(limited(operand));
  const errors: unknown[] = [];
  for (const [index, result] of results.entries()) {
    const error = await result;
    if (error === undefined) await context.print(operands[index] ?? "");
    else if (fine(error) === "told") await context.warn(`tiffin: ${messageOf(error)}`);
    else if (fine(error) === undefined) errors.push(error);
  }
  const all = joined(errors);
  if (all !== undefined) throw all;
  return 0;
}
