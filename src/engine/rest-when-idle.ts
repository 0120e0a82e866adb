import { collectHeap, releaseProgramText } from "../kernel/idle-memory.ts";

const INTERVAL_MS = 1500;
const IDLE_CPU_MICROSECONDS = 8000;
/** So many quiet intervals make a rest: who comes back after a second finds the code still compiled. */
const REST_AFTER = 2;
/** After this many intervals of rest program text is let go of again: timers and the collection's threads bring some back. */
const RELEASE_AGAIN: readonly number[] = [1, 3];
const RELEASE_EVERY = 20;

/** Gives memory back whenever the engine has done nothing for a while. Returns what stops the watching. */
export function restWhenIdle(): () => void {
  let used = cpuMicroseconds();
  let quiet = 0;
  const timer = setInterval(() => {
    const isQuiet = cpuMicroseconds() - used < IDLE_CPU_MICROSECONDS;
    // The collection itself is not quiet.
    quiet = isQuiet || quiet === REST_AFTER ? quiet + 1 : 0;
    rest(quiet - REST_AFTER);
    used = cpuMicroseconds();
  }, INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** @param rested intervals since the rest began; negative before */
function rest(rested: number): void {
  if (rested === 0) collectHeap();
  const isTime = RELEASE_AGAIN.includes(rested) || rested % RELEASE_EVERY === 0;
  if (rested >= 0 && isTime) releaseProgramText();
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
