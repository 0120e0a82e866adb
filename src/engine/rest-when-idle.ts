import { collectHeap, releaseProgramText } from "../kernel/idle-memory.ts";

const INTERVAL_MS = 2000;
const IDLE_CPU_MICROSECONDS = 10_000;

/** Gives memory back whenever the engine has done nothing for a while. Returns what stops the watching. */
export function restWhenIdle(): () => void {
  let used = cpuMicroseconds();
  let isResting = false;
  const timer = setInterval(() => {
    const isIdle = cpuMicroseconds() - used < IDLE_CPU_MICROSECONDS;
    if (isIdle && !isResting) {
      collectHeap();
      releaseProgramText();
    }
    isResting = isIdle;
    used = cpuMicroseconds();
  }, INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
