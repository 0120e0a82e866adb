import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { type Engine, remove, runArguments } from "./engine.ts";
import { type Measure, takeTurns, type Turn } from "./measure.ts";
import type { Row } from "./results.ts";
import { busyboxRoot } from "./scratch.ts";

const ROW: Row = { name: "cpu", title: "a busy loop of awk, CPU time", unit: "ms" };
/** About 10 ms: short enough that many rounds meet no disturbance at all. */
const ITERATIONS = 60_000;
/**
 * A line starts a round, whose end a line tells; one more line is answered by the CPU time since it was last asked for, in ns
 * (proc_pid_schedstat(5)). The kernel brings that figure up to date when a process goes to sleep, which here is when it waits for
 * a line. So the way of a line in and out, which is longer into a container, is not in it, and neither is what other
 * processes take meanwhile.
 */
const LOOP = `
function used(  line, field) {
  getline line < "/proc/self/schedstat"; close("/proc/self/schedstat"); split(line, field, " "); return field[1]
}
BEGIN {
  while ((getline line) > 0) {
    for (i = 0; i < ${ITERATIONS}; i++) sum += i
    print "done"; fflush()
    getline line
    now = used(); printf "%.0f\\n", now - before; fflush(); before = now
  }
}`;
const NAME = "busy";

/** The same loop on the host and in containers that stay, taking turns. */
export const cpuMeasure: Measure = {
  name: "cpu",
  run: async (bench) => {
    const loops = new Map<string, BusyLoop>();
    loops.set("host", new BusyLoop([join(busyboxRoot(), "bin/awk"), LOOP], hostEnvironment()));
    for (const engine of bench.engines) {
      const args = runArguments(engine, "-i", "--name", NAME, "busybox", "awk", LOOP);
      loops.set(engine.name, new BusyLoop([...engine.client, ...args], engine.environment));
    }
    whenDone(() => loops.forEach((loop) => loop.end()));
    const turns = new Map(
      [...loops].map(([name, loop]): [string, Turn] => [name, () => loop.round()]),
    );
    await takeTurns(bench, ROW, turns, bench.runs(500));
    for (const loop of loops.values()) loop.end();
    await Promise.all(bench.engines.map((engine: Engine) => remove(engine, NAME)));
  },
};

/** As empty as the container's, but for where awk is. */
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

  /** Milliseconds of CPU time of one round (of the first one: with the program's start). */
  async round(): Promise<number> {
    await this.#ask();
    return Number(await this.#ask()) / 1e6;
  }

  async #ask(): Promise<string> {
    await this.#process.stdin.write("\n");
    await this.#process.stdin.flush();
    const answer = await this.#output.next();
    const text = answer.done === true ? "" : new TextDecoder().decode(answer.value);
    if (!text.endsWith("\n")) throw new Error("The busy loop ended");
    return text;
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}
