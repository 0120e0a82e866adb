/** What has to be undone, the last done first. Each act is tried, whatever the others do. */
const acts: (() => Promise<void> | void)[] = [];
let cleaning: Promise<void> | undefined;

export function whenDone(act: () => Promise<void> | void): void {
  acts.push(act);
}

/** Undoes everything, once. Failures are told on standard error. */
export function cleanUp(): Promise<void> {
  cleaning ??= undoAll();
  return cleaning;
}

async function undoAll(): Promise<void> {
  for (const act of acts.splice(0).toReversed()) {
    try {
      await act();
    } catch (error) {
      console.error(
        `bench: cannot clean up: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/** Ctrl-C and SIGTERM end the measuring, and leave nothing behind either. */
export function cleanUpOnSignals(): void {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => {
      if (cleaning === undefined) console.error("\nbench: cleaning up");
      void cleanUp().then(() => process.exit(status));
    });
  }
}

/** True once the end has begun: what fails then is no news. */
export function isCleaningUp(): boolean {
  return cleaning !== undefined;
}
