import { type Engine, perform, remove } from "./engine.ts";
import { startWithTimings, type TimedStep } from "./launcher-measure.ts";
import type { Measure } from "./measure.ts";
import { stayingOnBridge } from "./network-command-measures.ts";
import { networkedEngines } from "./network-engines.ts";
import type { Row } from "./results.ts";

/** Steps that are there for the network alone, by the reasons that the engine gives. */
const NETWORK_STEP =
  /netlink socket|to its network|whether the kernel refuses|the interfaces|network namespace|the setting net\.|^set net\.|names? (server|queries|are served)/;
const NEW_NETWORK = 0x4000_0000n;
const WARM_UPS = 5;
const SETTLING_MS = 60;

/** From the steps of a start that were not done ahead: those of the network, and the process' start, in which its namespaces are made. */
export interface NetworkShare {
  readonly stepsMs: number;
  readonly cloneMs: number;
  /** The start made a network namespace of its own; otherwise it took one that was ready. */
  readonly isMade: boolean;
}

export function networkShare(steps: readonly TimedStep[]): NetworkShare {
  const now = steps.filter(({ ahead }) => ahead !== true);
  const milliseconds = (some: readonly TimedStep[]): number =>
    some.reduce((sum, { nanoseconds = 0 }) => sum + nanoseconds, 0) / 1e6;
  const clones = now.filter(
    ({ call, reason }) => call.startsWith("clone3(") && /first process/.test(reason),
  );
  return {
    stepsMs: milliseconds(now.filter(({ reason }) => NETWORK_STEP.test(reason))),
    cloneMs: milliseconds(clones),
    isMade: clones.some(({ call }) => (flagsOf(call) & NEW_NETWORK) !== 0n),
  };
}

function flagsOf(call: string): bigint {
  return BigInt(/^clone3\((0x[0-9a-f]+)/.exec(call)?.[1] ?? 0);
}

const UNPOOLED: Row = {
  name: "network-steps",
  title: "steps of a start for its network, namespace not counted",
  unit: "ms",
};
const POOLED: Row = {
  name: "network-steps-pooled",
  title: "the same, with a container that was begun ahead",
  unit: "ms",
};
const CLONE: Row = {
  name: "network-clone",
  title: "start of the first process; beside it, without a network namespace",
  unit: "ms",
};
const WITHOUT = "without";

/**
 * The network's part of a start, by the engine's own report. What the namespace costs is in the step that makes all of them:
 * in turns with it go starts that join another container's. The engine begins containers ahead; a second start of one has
 * nothing of that.
 */
export const networkStartMeasure: Measure = {
  name: "network-start",
  run: async (bench) => {
    const networked = await networkedEngines(bench);
    const engine = networked.find((one) => one.engine.name === "tiffin")?.engine;
    if (engine === undefined) return;
    const runs = bench.runs(50);
    bench.tell(`${UNPOOLED.title}: ${runs} runs`);
    await perform(engine, ...stayingOnBridge(engine, "holder"));
    for (let run = -WARM_UPS; run < runs; run++) {
      const own = await timedStarts(engine, 2);
      const joined = await timedStarts(engine, 1, "--network", "container:holder");
      if (run < 0) continue;
      for (const { isMade, stepsMs, cloneMs } of own) {
        bench.results.record(isMade ? UNPOOLED : POOLED, engine.name, stepsMs);
        if (isMade) bench.results.record(CLONE, engine.name, cloneMs);
      }
      for (const { cloneMs } of joined) bench.results.record(CLONE, WITHOUT, cloneMs);
    }
    await remove(engine, "holder");
  },
};

/** The starts of one container, one after the other. */
async function timedStarts(
  engine: Engine,
  count: number,
  ...options: readonly string[]
): Promise<NetworkShare[]> {
  const shares: NetworkShare[] = [];
  await perform(engine, "create", "--name", "bench", ...options, "busybox", "true");
  for (let start = 0; start < count; start++) {
    await Bun.sleep(SETTLING_MS);
    shares.push(networkShare(await startWithTimings(engine, "bench")));
    await perform(engine, "wait", "bench");
  }
  await perform(engine, "rm", "bench");
  return shares;
}
