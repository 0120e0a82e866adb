import { readFileSync } from "node:fs";
import { type Engine, output, perform, remove, runArguments } from "./engine.ts";
import type { Bench, Measure } from "./measure.ts";
import type { Row } from "./results.ts";

const CONTAINERS = 100;
const WINDOW_MS = 10_000;
const WINDOWS = 5;
/** USER_HZ of proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;
const PATIENCE_MS = 60_000;

export const HEALTH_HTTP: Row = {
  name: "health-http",
  title: `the engine's CPU, ${CONTAINERS} health checks a second by HTTP`,
  unit: "%",
};
export const HEALTH_TCP: Row = {
  name: "health-tcp",
  title: `the engine's CPU, ${CONTAINERS} health checks a second by TCP`,
  unit: "%",
};

/** Per cent of one core that an engine spends on checking a hundred containers every second, each by its own loopback address. */
export const healthMeasure: Measure = {
  name: "health",
  run: async (bench) => {
    const engine = bench.engines.find(({ name }) => name === "tiffin");
    if (!engine) return;
    await measureChecks(bench, engine, { row: HEALTH_HTTP, check: ["--health-http", ":8080/up"] });
    await measureChecks(bench, engine, { row: HEALTH_TCP, check: ["--health-tcp", "8080"] });
  },
};

async function measureChecks(
  bench: Bench,
  engine: Engine,
  { row, check }: { row: Row; check: readonly string[] },
): Promise<void> {
  const names = Array.from({ length: CONTAINERS }, (_, index) => `bench-${index + 1}`);
  try {
    bench.tell(`${row.title}: starting the containers`);
    for (const name of names) await perform(engine, ...serving(engine, name, check));
    await untilAllAreHealthy(engine);
    bench.tell(row.title);
    const pid = engine.daemons()[0] ?? -1;
    for (let window = 0; window < bench.runs(WINDOWS); window++) {
      const [usedBefore, before] = [cpuSeconds(pid), performance.now()];
      await Bun.sleep(WINDOW_MS);
      const seconds = (performance.now() - before) / 1000;
      bench.results.record(row, engine.name, ((cpuSeconds(pid) - usedBefore) / seconds) * 100);
    }
  } finally {
    await remove(engine, ...names);
  }
}

function serving(engine: Engine, name: string, check: readonly string[]): string[] {
  const script = "mkdir -p /tmp/www; echo up > /tmp/www/up; httpd -f -p 127.0.0.1:8080 -h /tmp/www";
  const options = ["-d", "--name", name, "--init", "--health-interval", "1s", ...check];
  return runArguments(engine, ...options, "busybox", "sh", "-c", script);
}

async function untilAllAreHealthy(engine: Engine): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const listed = await output(engine, "ps", "-q", "--filter", "health=healthy");
    if (listed.split("\n").filter(Boolean).length === CONTAINERS) return;
    await Bun.sleep(500);
  }
  throw new Error("Not all containers turn healthy");
}

/** User and system time of a process with all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
