import { constants } from "node:os";
import { invalidArgument } from "./error.ts";

const NUMBERS: Readonly<Record<string, number>> = constants.signals;
const REALTIME = /^RT(MIN|MAX)(?:([+-])(\d+))?$/;
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/**
 * The number of a signal as docker users write it: `9`, `KILL`, `SIGKILL`, `sigterm`, `RTMIN+3`.
 * @throws invalid-argument
 */
export function signalNumber(signal: string): number {
  const number = /^\d+$/.test(signal)
    ? Number(signal)
    : namedSignal(signal.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number < 1 || number > SIGRTMAX)
    throw invalidArgument(`Invalid signal: ${signal}`);
  return number;
}

function namedSignal(name: string): number | undefined {
  const [, end, sign, distance] = REALTIME.exec(name) ?? [];
  if (end === undefined) return NUMBERS[`SIG${name}`];
  const offset = Number(distance ?? 0) * (sign === "-" ? -1 : 1);
  return (end === "MIN" ? SIGRTMIN : SIGRTMAX) + offset;
}
