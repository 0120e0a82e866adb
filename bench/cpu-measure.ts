import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { type Engine, remove, runArguments } from "./engine.ts";
import { type Measure, takeTurns, type Turn } from "./measure.ts";
import type { Row } from "./results.ts";
import { busyboxRoot } from "./scratch.ts";

const ROW: Row = { name: "cpu", title: "a busy loop of awk", unit: "ms" };
/** About two seconds: the way of a line in and out is less than a thousandth of that. */
const ROUNDS = 12_000_000;
const LOOP = `while read -r line; do awk 'BEGIN { for (i = 0; i < ${ROUNDS}; i++) s += i; print s }'; done`;
const NAME = "busy";

/** The same loop on the host and in containers that stay: a line starts a round, a line ends it. */
export const cpuMeasure: Measure = {
  name: "cpu",
  run: async (bench) => {
    const loops = new Map<string, BusyLoop>();
    loops.set("host", new BusyLoop([join(busyboxRoot(), "bin/sh"), "-c", LOOP], hostEnvironment()));
    for (const engine of bench.engines) {
      const args = runArguments(engine, "-i", "--name", NAME, "busybox", "sh", "-c", LOOP);
      loops.set(engine.name, new BusyLoop([...engine.client, ...args], engine.environment));
    }
    whenDone(() => loops.forEach((loop) => loop.end()));
    const turns = new Map(
      [...loops].map(([name, loop]): [string, Turn] => [name, () => loop.round()]),
    );
    await takeTurns(bench, ROW, turns, bench.runs(7));
    for (const loop of loops.values()) loop.end();
    await Promise.all(bench.engines.map((engine: Engine) => remove(engine, NAME)));
  },
};

/** The shell on the host finds awk where the container's does. */
function hostEnvironment(): Record<string, string> {
  return { PATH: join(busyboxRoot(), "bin") };
}

class BusyLoop {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #output: AsyncIterator<Uint8Array>;

  constructor(command: readonly string[], environment: Readonly<Record<string, string>>) {
    this.#process = Bun.spawn([...command], {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#output = this.#process.stdout[Symbol.asyncIterator]();
  }

  /** Milliseconds of one round. */
  async round(): Promise<number> {
    const start = performance.now();
    await this.#process.stdin.write("\n");
    await this.#process.stdin.flush();
    const answer = await this.#output.next();
    const took = performance.now() - start;
    if (answer.done === true || !new TextDecoder().decode(answer.value).includes("\n"))
      throw new Error("The busy loop ended");
    return took;
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}
