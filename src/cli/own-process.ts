import type { World } from "./command.ts";

/** What a caller's signals mean to the container behind the command: docker's list. */
export const PASSED_SIGNALS = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGWINCH",
] as const;

/** Signals and the end of a command that has a process of its own. */
export const ownProcess: Pick<World, "onSignal" | "exit"> = {
  onSignal: (handle) => {
    for (const signal of PASSED_SIGNALS) process.on(signal, () => handle(signal));
  },
  exit: (status) => process.exit(status),
};
