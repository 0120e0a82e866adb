import { setTimeout as sleep } from "node:timers/promises";
import { isTiffinError } from "../base/error.ts";
import type { CgroupCpu, CgroupStats } from "../cgroups/stats.ts";
import { monotonicNano, realtimeNano } from "../kernel/clock.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { type InterfaceTraffic, readInterfaceTraffic } from "./interface-traffic.ts";
import { timestampOf } from "./timestamp.ts";

/** CPU time at one moment: two of them make a rate. */
export interface CpuSample {
  /** ISO 8601 with nanoseconds. */
  readonly readAt: string;
  readonly cpu: CgroupCpu;
  /** Time that all CPUs of the host together have been up, to the nanosecond. */
  readonly hostNanoseconds: number;
  /** The same clock, for ages. */
  readonly monotonicNano: bigint;
}

export interface StatsSample extends CpuSample {
  readonly cgroup: CgroupStats;
  readonly networks: Readonly<Record<string, InterfaceTraffic>>;
}

export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  /** Missing when the container does not run. */
  readonly now?: StatsSample;
  /** An earlier sample, for rates; missing when none was wanted. */
  readonly before?: CpuSample;
}

export interface StatsRequest {
  /** null: all containers. */
  readonly names: readonly string[] | null;
  /** With null names: those too that do not run. */
  readonly all: boolean;
  /** Once a second until the caller leaves or every container named is removed; else once. */
  readonly stream: boolean;
  /** Without an earlier sample for rates: the answer comes at once. */
  readonly oneShot: boolean;
}

/** One period of the CPU bandwidth controller: over less, a container with a quota shows all or nothing. */
const SHORTEST_MS = 100;
/** An older sample would tell of what has been, not of what is. */
const OLDEST_MS = 10_000;
const INTERVAL_MS = 1000;
const MILLION = 1_000_000n;
const SHORTEST_NANO = BigInt(SHORTEST_MS) * MILLION;

/**
 * The samples that the next rate is made of: the latest CPU time of each container that anyone has asked for. Who asks again
 * within ten seconds gets the rate since then at once; who asks for the first time waits a tenth of a second.
 */
export class CpuSamples {
  private readonly byId = new Map<string, CpuSample>();

  /** One of this run that is not too old. */
  recent({ id, state }: StoredContainer): CpuSample | undefined {
    const sample = this.byId.get(id);
    if (sample === undefined || ageMs(sample) > OLDEST_MS) return undefined;
    return sample.readAt >= state.startedAt ? sample : undefined;
  }

  /** One that comes too soon after the last is passed over: nobody could make a rate of it. */
  remember(container: StoredContainer, sample: CpuSample): void {
    const last = this.recent(container);
    const isSoon = last !== undefined && sample.monotonicNano - last.monotonicNano < SHORTEST_NANO;
    if (!isSoon) this.byId.set(container.id, sample);
  }

  /** Forgets the samples that nobody will use. */
  sweep(): void {
    for (const [id, sample] of this.byId) if (ageMs(sample) > OLDEST_MS) this.byId.delete(id);
  }
}

function ageMs(sample: CpuSample): number {
  return Number((monotonicNano() - sample.monotonicNano) / MILLION);
}

/**
 * What containers use, as lists of all that were asked for. The first answer tells the rate of CPU use since the last sample
 * that is between 0.1 and 10 s old, or is preceded by one of its own.
 * @throws not-found for a name
 */
export function containerStats(
  context: EngineContext,
  request: StatsRequest,
  signal: AbortSignal,
): AsyncIterable<ContainerStats[]> {
  const ids = request.names?.map((name) => context.containers.find(name).id);
  const chosen = (): StoredContainer[] =>
    ids === undefined
      ? context.containers
          .all()
          .toReversed()
          .filter(({ state }) => request.all || state.pid !== 0)
      : ids.flatMap((id) => context.containers.withId(id) ?? []);
  return watch(context, { chosen, isNamed: ids !== undefined, ...request }, signal);
}

async function* watch(
  context: EngineContext,
  request: StatsRequest & { chosen: () => StoredContainer[]; isNamed: boolean },
  signal: AbortSignal,
): AsyncGenerator<ContainerStats[]> {
  for (;;) {
    context.cpuSamples.sweep();
    const begun = monotonicNano();
    if (!request.oneShot) await prepareRates(context, request.chosen(), signal);
    const containers = request.chosen();
    if (signal.aborted || (request.isNamed && containers.length === 0)) return;
    yield containers.map((container) => sampleContainer(context, container, request.oneShot));
    if (!request.stream) return;
    const spent = Number((monotonicNano() - begun) / MILLION);
    await pause(Math.max(0, INTERVAL_MS - spent), signal);
  }
}

/** Sees to it that there is a sample of each, old enough for a rate. */
async function prepareRates(
  context: EngineContext,
  containers: readonly StoredContainer[],
  signal: AbortSignal,
): Promise<void> {
  let youngestMs = SHORTEST_MS;
  for (const container of containers) {
    if (container.state.pid === 0) continue;
    let sample = context.cpuSamples.recent(container);
    if (sample === undefined) {
      sample = unlessGone(() => sampleCpu(context, context.cgroups.cpuStats(container.id)));
      if (sample === undefined) continue;
      context.cpuSamples.remember(container, sample);
    }
    youngestMs = Math.min(youngestMs, ageMs(sample));
  }
  if (youngestMs < SHORTEST_MS) await pause(SHORTEST_MS - youngestMs, signal);
}

function sampleContainer(
  context: EngineContext,
  container: StoredContainer,
  oneShot: boolean,
): ContainerStats {
  const { id, name, state, spec } = container;
  const cgroup = state.pid === 0 ? undefined : unlessGone(() => context.cgroups.stats(id));
  if (cgroup === undefined) return { id, name };
  const networks = spec.networkMode === "host" ? {} : readInterfaceTraffic(state.pid);
  const now: StatsSample = { ...sampleCpu(context, cgroup.cpu), cgroup, networks };
  const before = oneShot ? undefined : context.cpuSamples.recent(container);
  context.cpuSamples.remember(container, now);
  return { id, name, now, ...(before && { before }) };
}

function sampleCpu({ host }: EngineContext, cpu: CgroupCpu): CpuSample {
  const monotonic = monotonicNano();
  return {
    readAt: timestampOf(realtimeNano()),
    cpu,
    hostNanoseconds: Number(monotonic) * host.cpus,
    monotonicNano: monotonic,
  };
}

/** A container can end at any moment; then it uses nothing. */
function unlessGone<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
