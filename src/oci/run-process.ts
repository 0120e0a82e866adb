import { socketPair } from "../kernel/process.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import { receiveDescriptor } from "./console.ts";
import { reapUntil } from "./exit-wait.ts";

/** A socket pair for a terminal that this process itself shows. */
export interface OwnConsole {
  /** For the launcher to inherit. */
  readonly theirs: number;
  /** The master end, once the process is there. */
  take(): number;
}

export function ownConsole(): OwnConsole {
  const [ours, theirs] = socketPair();
  return { theirs, take: () => receiveDescriptor(ours) };
}

const FORWARDED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGCONT",
  "SIGTSTP",
  "SIGALRM",
  "SIGPIPE",
] as const;

const NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGTSTP: 20,
};

/**
 * Waits in the foreground for a process that is this one's child: passes signals on, shows its terminal when there is one.
 * @returns its exit status, 128 + the signal's number when one ended it
 */
export async function waitInForeground(pid: number, terminal: number | undefined): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const reap = (): void => {
    const status = reapUntil(pid);
    if (status !== undefined) resolve(status);
  };
  process.on("SIGCHLD", reap);
  for (const signal of FORWARDED) {
    process.on(signal, () => syscallRaw("kill", pid, NUMBERS[signal] ?? 0));
  }
  const proxy =
    terminal === undefined
      ? undefined
      : (await import("./terminal-proxy.ts")).showTerminal(terminal);
  // Signal handlers alone keep no program alive.
  const alive = setInterval(() => undefined, 1 << 30);
  reap();
  const status = await promise;
  clearInterval(alive);
  await proxy?.finish();
  return status;
}
