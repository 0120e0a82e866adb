import { join } from "node:path";
import { busyboxRoot, type Contender, runToEnd, scratch } from "./contenders.ts";
import { pssKilobytes, type Sample, summarize } from "./statistics.ts";

/** One thing that is measured: milliseconds of one run of it. */
export interface Measure {
  readonly name: string;
  readonly runs: number;
  /** Once for each contender, before the first run. */
  readonly prepare?: (contender: Contender) => Promise<void>;
  readonly once: (contender: Contender, run: number) => Promise<number>;
  readonly finish?: (contender: Contender) => Promise<void>;
}

async function timed(contender: Contender, args: readonly string[]): Promise<number> {
  const start = performance.now();
  await runToEnd(contender, args);
  return performance.now() - start;
}

const background = (name: string): string[] => [
  "run",
  "-d",
  "--name",
  name,
  "--network",
  "none",
  "busybox",
];
const endsOnTerm = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];
const up =
  (name: string, command = ["sleep", "1000"]) =>
  (contender: Contender) =>
    runToEnd(contender, [...background(name), ...command]);
const down = (name: string) => (contender: Contender) => runToEnd(contender, ["rm", "-f", name]);

export const MEASURES: readonly Measure[] = [
  { name: "--version", runs: 20, once: (contender) => timed(contender, ["--version"]) },
  {
    name: "run --rm --network none true",
    runs: 20,
    once: (contender) => timed(contender, ["run", "--rm", "--network", "none", "busybox", "true"]),
  },
  {
    name: "run -d",
    runs: 10,
    once: async (contender) => {
      const took = await timed(contender, [...background("bench"), "sleep", "1000"]);
      await down("bench")(contender);
      return took;
    },
  },
  {
    name: "exec true",
    runs: 20,
    prepare: up("bench"),
    once: (contender) => timed(contender, ["exec", "bench", "true"]),
    finish: down("bench"),
  },
  {
    name: "stop",
    runs: 10,
    once: async (contender) => {
      await up("bench", endsOnTerm)(contender);
      await Bun.sleep(200);
      const took = await timed(contender, ["stop", "bench"]);
      await down("bench")(contender);
      return took;
    },
  },
  {
    name: "rm -f",
    runs: 10,
    once: async (contender) => {
      await up("bench")(contender);
      return timed(contender, ["rm", "-f", "bench"]);
    },
  },
  {
    name: "ps, 1 container",
    runs: 20,
    prepare: up("bench"),
    once: (contender) => timed(contender, ["ps"]),
    finish: down("bench"),
  },
];

/** Interleaved (A B C A B C ...), so that noise hits all alike. */
export async function measure(
  what: Measure,
  contenders: readonly Contender[],
): Promise<Map<string, Sample>> {
  const values = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) {
    await what.prepare?.(contender);
    await what.once(contender, -1);
  }
  for (let run = 0; run < what.runs; run++) {
    for (const contender of contenders)
      values.get(contender.name)?.push(await what.once(contender, run));
  }
  for (const contender of contenders) await what.finish?.(contender);
  return new Map([...values].map(([name, all]) => [name, summarize(all)]));
}

/** The same program without an engine: what a start costs at least. */
export async function measureBare(runs: number): Promise<Map<string, Sample>> {
  const rootfs = busyboxRoot();
  const commands: [string, string[]][] = [["fork + exec", [join(rootfs, "bin/true")]]];
  if (Bun.which("bwrap"))
    commands.push([
      "bwrap",
      ["bwrap", "--unshare-all", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "true"],
    ]);
  if (Bun.which("crun")) commands.push(["crun run", await crunCommand(rootfs)]);
  const values = new Map<string, number[]>(commands.map(([name]) => [name, []]));
  for (let run = -1; run < runs; run++) {
    for (const [name, command] of commands) {
      const start = performance.now();
      const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] });
      if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
      if (run >= 0) values.get(name)?.push(performance.now() - start);
    }
  }
  return new Map([...values].map(([name, all]) => [name, summarize(all)]));
}

/** crun refuses a hybrid cgroup hierarchy, so it goes without; its rootfs is the same. */
async function crunCommand(rootfs: string): Promise<string[]> {
  const bundle = join(scratch, "bundle");
  Bun.spawnSync(["mkdir", "-p", bundle]);
  Bun.spawnSync(["crun", "spec"], { cwd: bundle });
  const path = join(bundle, "config.json");
  const spec = JSON.parse(await Bun.file(path).text()) as {
    root: object;
    process: { terminal: boolean; args: string[]; rlimits?: unknown };
  };
  delete spec.process.rlimits;
  await Bun.write(
    path,
    JSON.stringify({
      ...spec,
      root: { path: rootfs },
      process: { ...spec.process, terminal: false, args: ["true"] },
    }),
  );
  return ["crun", "--cgroup-manager=disabled", "run", "--bundle", bundle, "bench"];
}

interface Step {
  readonly side: string;
  readonly nanoseconds?: number;
}

/** The launcher's own part: from the first operation until the program runs, by its own report. Milliseconds. */
export async function measureLauncher(contender: Contender, runs: number): Promise<Sample> {
  const socket = contender.environment["TIFFIN_HOST"]?.replace("unix://", "") ?? "";
  const values: number[] = [];
  for (let run = -10; run < runs; run++) {
    await runToEnd(contender, [
      "create",
      "--name",
      "bench",
      "--network",
      "none",
      "busybox",
      "true",
    ]);
    const answer = await fetch("http://engine/tiffin/containers/bench/start?timings=1", {
      unix: socket,
      method: "POST",
    });
    const { steps } = (await answer.json()) as { steps: Step[] };
    const total = steps
      .filter(({ side }) => side === "supervisor")
      .reduce((sum, { nanoseconds = 0 }) => sum + nanoseconds, 0);
    if (run >= 0) values.push(total / 1e6);
    await runToEnd(contender, ["wait", "bench"]);
    await runToEnd(contender, ["rm", "bench"]);
  }
  return summarize(values);
}

export interface LogFigures {
  readonly write: number;
  readonly read: number;
  readonly tail: number;
  readonly since: number;
}

const LOG_BYTES = 500_000_000;
const WITHOUT_ROTATION: Readonly<Record<string, string[]>> = {
  tiffin: ["--log-opt", "max-size=-1"],
  docker: ["--log-driver", "json-file"],
  podman: ["--log-driver", "k8s-file"],
};

/** 500 MB of 64-byte lines from a file through the log, and back. Milliseconds. */
export async function measureLog(contender: Contender): Promise<LogFigures> {
  const directory = join(scratch, "lines");
  const path = join(directory, "lines");
  if (!(await Bun.file(path).exists())) {
    const line = `${"0123456789".repeat(6)}012\n`;
    await Bun.write(path, Buffer.from(line.repeat(LOG_BYTES / 64)));
  }
  const options = [
    ...(WITHOUT_ROTATION[contender.name] ?? []),
    "--name",
    "log",
    "--network",
    "none",
    "-v",
    `${directory}:/lines:ro`,
  ];
  const start = performance.now();
  await runToEnd(contender, ["run", "-d", ...options, "busybox", "cat", "/lines/lines"]);
  await runToEnd(contender, ["wait", "log"]);
  const write = performance.now() - start;
  const read = await timed(contender, ["logs", "log"]);
  const tail = await timed(contender, ["logs", "--tail", "10", "log"]);
  const since = await timed(contender, ["logs", "--since", new Date().toISOString(), "log"]);
  await runToEnd(contender, ["rm", "-f", "log"]);
  return { write, read, tail, since };
}

export interface ManyFigures {
  /** Median milliseconds of the first and of the last ten starts. */
  readonly first: number;
  readonly last: number;
  readonly supervisorKilobytes: number;
}

/** 200 running containers: what the last starts cost beside the first, and the memory beside each. */
export async function measureMany(contender: Contender, count: number): Promise<ManyFigures> {
  const took: number[] = [];
  for (let index = 0; index < count; index++)
    took.push(await timed(contender, [...background(`many-${index}`), "sleep", "1000"]));
  const supervisors = Bun.spawnSync(["pgrep", "-x", "tiffin-super"])
    .stdout.toString()
    .trim()
    .split("\n")
    .map(Number);
  const pss = await Promise.all(supervisors.map(pssKilobytes));
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  await runToEnd(contender, ["rm", "-f", ...names]);
  return {
    first: summarize(took.slice(0, 10)).median,
    last: summarize(took.slice(-10)).median,
    supervisorKilobytes: summarize(pss).median,
  };
}
