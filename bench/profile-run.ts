/**
 * Where the time of `tiffin run --rm --network none IMAGE true` goes: the command's requests, made by one client in one process
 * that stays, with the time at each answer: `scripts/bun bench/profile-run.ts [--runs N] [--image hello]`.
 * What the command takes beyond their sum is the start and the end of its own process.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ApiClient, apiPath } from "../src/api/client.ts";
import { cleanUp, cleanUpOnSignals } from "./clean-up.ts";
import { type Engine, runArguments, time } from "./engine.ts";
import { nanosecondsToProgram, type TimedStep } from "./launcher-measure.ts";
import { type Sample, summarize } from "./statistics.ts";
import { tiffinEngine } from "./tiffin-engine.ts";

const { values: given } = parseArgs({
  options: {
    runs: { type: "string", default: "50" },
    image: { type: "string", default: "busybox" },
  },
});
const WARM_UPS = 10;

/** Milliseconds by phase, in the order in which they were first met. */
class Profile {
  readonly #values = new Map<string, number[]>();

  add(phase: string, milliseconds: number): void {
    this.#values.set(phase, [...(this.#values.get(phase) ?? []), milliseconds]);
  }

  /** What `act` takes. */
  async of<Result>(phase: string, act: () => Promise<Result>): Promise<Result> {
    const start = performance.now();
    const result = await act();
    this.add(phase, performance.now() - start);
    return result;
  }

  /** Largest steps only, when there are many: what is below the limit has no part in the whole. */
  lines(leastMs = 0): string[] {
    return [...this.#values]
      .map(([phase, values]): [string, Sample] => [phase, summarize(values)])
      .filter(([, { median }]) => median >= leastMs)
      .map(([phase, sample]) => {
        const figures = [sample.p10, sample.median, sample.p95].map((figure) =>
          figure.toFixed(3).padStart(9),
        );
        return `${figures.join("")}  ${phase}`;
      });
  }
}

/** The body that the command sends, taken from what it asks for itself (`--network none`, `--rm`). */
const body = {
  Image: given.image,
  ...(given.image === "hello" ? {} : { Cmd: ["true"] }),
  AttachStdin: false,
  AttachStdout: true,
  AttachStderr: true,
  HostConfig: { AutoRemove: true, NetworkMode: "none" },
};
const ATTACH = { stream: 1, stdout: 1, stderr: 1 };

type Waiting = Promise<{ json(): Promise<unknown> }>;

/**
 * One run as the command does it. Beside its own wait (`removed`) there is a second for the exit, so that the exit's notice
 * and the removal after it can be told apart.
 */
async function runOnce(
  api: ApiClient,
  profile: Profile,
  steps: Profile | undefined,
): Promise<void> {
  const begin = performance.now();
  const { Id } = await profile.of(
    "create request",
    async () => (await api.json("POST", "/containers/create", { body })) as { Id: string },
  );
  const wait = (condition: string): Waiting =>
    api.request("POST", apiPath("containers", Id, "wait"), { query: { condition } });
  const [stream, removed, exited] = await Promise.all([
    profile.of("attach, hijacked (with the waits, at once)", () =>
      api.hijack("POST", apiPath("containers", Id, "attach"), { query: ATTACH }),
    ),
    profile.of("wait request, accepted", () => wait("removed")),
    wait("next-exit"),
  ]);
  stream.endWrite();
  const started = performance.now();
  const at = (phase: string) => (): void => profile.add(phase, performance.now() - started);
  const events = [
    drain(stream.output).then(at("from start request: output ended")),
    exited.json().then(at("from start request: exit told")),
    removed.json().then(at("from start request: removal told")),
  ];
  if (steps === undefined) {
    await profile.of("start request", () => api.run("POST", apiPath("containers", Id, "start")));
  } else {
    await startWithSteps(api, Id, { profile, steps });
  }
  await Promise.all(events);
  profile.add("all requests", performance.now() - begin);
  stream.close();
}

async function drain(output: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of output);
}

async function startWithSteps(
  api: ApiClient,
  id: string,
  { profile, steps }: { profile: Profile; steps: Profile },
): Promise<void> {
  const answer = await profile.of("start request, with its report", () =>
    api.json("POST", `/tiffin${apiPath("containers", id, "start")}`, { query: { timings: 1 } }),
  );
  const timed = (answer as { steps: TimedStep[] }).steps;
  const launcher = nanosecondsToProgram(timed) / 1e6;
  profile.add("in it: the launcher, first operation to program", launcher);
  for (const { side, reason, nanoseconds = 0 } of timed) {
    steps.add(`${side}: ${reason.replaceAll(/[0-9a-f]{12,64}/g, "…")}`, nanoseconds / 1e6);
  }
}

interface CpuTime {
  readonly user: number;
  readonly system: number;
}

const TICK_MS = 10;

/** CPU time of a process so far, ms (proc_pid_stat(5), in ticks of 10 ms). */
function cpuTime(pid: number): CpuTime {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { user: Number(fields[11]) * TICK_MS, system: Number(fields[12]) * TICK_MS };
}

/** The client's and the engine's CPU time for one whole command: what no waiting explains. */
async function measureCommand(engine: Engine, runs: number, profile: Profile): Promise<void> {
  for (let run = 0; run < runs; run++) {
    profile.add("`tiffin --version`", await time(engine, "--version"));
    const arguments_ = runArguments(engine, "--rm", given.image, ...(body.Cmd ?? []));
    profile.add("`tiffin run --rm`, whole", await time(engine, ...arguments_));
  }
}

async function measureCpu(engine: Engine, runs: number): Promise<string> {
  const pid = engine.daemons()[0] ?? 0;
  const client = { user: 0, system: 0 };
  const before = cpuTime(pid);
  for (let run = 0; run < runs; run++) {
    const arguments_ = runArguments(engine, "--rm", given.image, ...(body.Cmd ?? []));
    const child = Bun.spawn([...engine.client, ...arguments_], {
      env: { ...process.env, ...engine.environment },
      stdio: ["ignore", "ignore", "inherit"],
    });
    await child.exited;
    const used = child.resourceUsage()?.cpuTime;
    client.user += Number(used?.user ?? 0) / 1000;
    client.system += Number(used?.system ?? 0) / 1000;
  }
  const after = cpuTime(pid);
  const each = (milliseconds: number): string => (milliseconds / runs).toFixed(1);
  return [
    `client: ${each(client.user)} ms user, ${each(client.system)} ms system`,
    `engine: ${each(after.user - before.user)} ms user, ${each(after.system - before.system)} ms system`,
  ].join("\n");
}

async function main(runs: number): Promise<void> {
  const remarks: string[] = [];
  const engine = tiffinEngine(remarks);
  await engine.start();
  const socket = engine.environment["TIFFIN_HOST"]?.replace("unix://", "") ?? "";
  const api = new ApiClient({ endpoint: { path: socket } });
  const command = new Profile();
  const requests = new Profile();
  const reported = new Profile();
  const steps = new Profile();
  for (let run = 0; run < WARM_UPS; run++) await runOnce(api, new Profile(), undefined);
  for (let run = 0; run < runs; run++) {
    await runOnce(api, requests, undefined);
    await runOnce(api, reported, steps);
  }
  await measureCommand(engine, runs, command);
  const cpu = await measureCpu(engine, runs);
  api.close();
  for (const remark of remarks) console.log(`note: ${remark}`);
  print("Whole commands", command.lines());
  print("Requests, from one client that stays", requests.lines());
  print("The same, started with a report", reported.lines());
  print("Steps of 0.03 ms and more (the two sides run at the same time)", steps.lines(0.03));
  console.log(`\nCPU time of a command, each of ${runs}:\n${cpu}`);
}

function print(title: string, lines: readonly string[]): void {
  console.log(`\n${title}; ms: p10, median, p95\n${lines.join("\n")}`);
}

cleanUpOnSignals();
try {
  await main(Number(given.runs));
} finally {
  await cleanUp();
}
process.exit();
