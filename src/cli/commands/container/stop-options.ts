import { aliasOf, type Flag, integer, text } from "../../flag.ts";
import type { Arguments } from "../../grammar.ts";

const signal = text("signal", "Signal to send to the container", { short: "s" });
const timeout = integer("timeout", "Seconds to wait before killing the container", { short: "t" });
const time = aliasOf(timeout, "time", "use --timeout instead");

/** How `stop` and `restart` end a container. */
export const STOP_FLAGS: readonly Flag[] = [signal, timeout, time] as readonly Flag[];

export function stopQuery(given: Arguments): { signal?: string; t?: number } {
  return {
    ...(given.get(signal) === "" ? {} : { signal: given.get(signal) }),
    ...(given.has(timeout) ? { t: given.get(timeout) } : {}),
  };
}
