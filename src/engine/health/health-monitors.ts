import { messageOf } from "../../base/error.ts";
import { explainExhaustion } from "../../base/exhaustion.ts";
import { faultPoint } from "../../base/fault-point.ts";
import { monotonicMs } from "../../kernel/clock.ts";
import type { ContainerTable, StoredContainer } from "../container-table.ts";
import { DueTimers } from "../due-timers.ts";
import { timestamp } from "../timestamp.ts";
import type { Health } from "../types.ts";
import { afterCheck, healthTimes, isChecked, pauseMs, startingHealth } from "./health-policy.ts";
import type { HealthRecord, HealthTable } from "./health-table.ts";
import type { CheckOutcome } from "./socket-checks.ts";

/** Successes that change nothing are recorded together, since a commit each would cost more than the checks. */
const SAVE_INTERVAL_MS = 5_000;
/** Checks are put off by up to a tenth of their pause, so that those of many containers wake the engine together. */
const GRIDS_MS = [250, 100, 25];

/** What the monitors do not know how to do. */
export interface HealthHooks {
  /** One check, within the time; a rejection is a failed check. */
  check(container: StoredContainer, timeoutMs: number): Promise<CheckOutcome>;
  /** Its status is another one now. */
  changed(container: StoredContainer, health: Health): void;
  /** It has failed as often as it may. */
  failed(container: StoredContainer): void;
}

/**
 * Checks the health of running containers, one check at a time each. What matters (a status, failures that count towards one)
 * is recorded before it is told, the rest within seconds: an engine that takes over goes on from there.
 */
export class HealthMonitors {
  private readonly containers: ContainerTable;
  private readonly table: HealthTable;
  private readonly timers = new DueTimers("check the health of container");
  private readonly records: Map<string, HealthRecord>;
  private readonly unsaved = new Set<string>();
  /** Of checks under way: one whose container has ended or was paused meanwhile says nothing. */
  private readonly running = new Map<string, symbol>();
  private saving: ReturnType<typeof setTimeout> | undefined;
  private hooks: HealthHooks | undefined;

  constructor(containers: ContainerTable, table: HealthTable) {
    this.containers = containers;
    this.table = table;
    this.records = table.all();
    for (const [id, { health }] of this.records) containers.setHealth(id, health);
    this.timers.onDue((id) => this.check(id));
  }

  wire(hooks: HealthHooks): void {
    this.hooks = hooks;
  }

  /** A run has started. */
  begin(id: string): void {
    const container = this.checked(id);
    if (container) this.renew(container, startingHealth(container.health), { isUrgent: true });
  }

  /** A run goes on: an earlier engine's, or a paused one. */
  resume(id: string): void {
    const container = this.checked(id);
    if (!container) return;
    const record = this.records.get(id);
    if (record?.runStartedMs !== container.state.startedMonotonicMs) this.begin(id);
    else this.timers.set(id, record.nextDueMs);
  }

  /** A paused container cannot answer. The status is docker's for "nobody looks". */
  pause(id: string): void {
    this.stop(id);
  }

  /** As after a check: docker waits for a whole interval. */
  unpause(id: string): void {
    const container = this.checked(id);
    if (container) this.renew(container, container.health ?? startingHealth(null), {});
  }

  /** The run has ended, or waits. */
  stop(id: string): void {
    this.timers.clear(id);
    this.running.delete(id);
    const record = this.records.get(id);
    if (!record || record.health.status === "unhealthy") return;
    this.keep(id, { ...record, health: { ...record.health, status: "unhealthy" } }, true);
  }

  /** The container is gone, its row with it. */
  forget(id: string): void {
    this.timers.clear(id);
    this.running.delete(id);
    this.records.delete(id);
    this.unsaved.delete(id);
  }

  close(): void {
    this.timers.close();
    clearTimeout(this.saving);
    this.save();
  }

  private checked(id: string): StoredContainer | undefined {
    const container = this.containers.withId(id);
    return container && isChecked(container.spec.healthcheck) ? container : undefined;
  }

  private async check(id: string): Promise<void> {
    const container = this.checked(id);
    const check = container?.spec.healthcheck;
    if (!container || !check || container.state.status !== "running" || !this.hooks) return;
    const own = Symbol(id);
    this.running.set(id, own);
    const times = healthTimes(check);
    const { startedMonotonicMs } = container.state;
    const checkedAtMs = monotonicMs() - startedMonotonicMs;
    const start = timestamp();
    faultPoint("health:begun");
    const outcome = await this.hooks
      .check(container, times.timeoutMs)
      .catch((error: unknown) => ({ exitCode: -1, output: messageOf(error) }));
    const now = this.containers.withId(id);
    if (this.running.get(id) !== own || !now) return;
    this.running.delete(id);
    const before = now.health ?? startingHealth(null);
    const health = afterCheck(times, before, { start, end: timestamp(), ...outcome }, checkedAtMs);
    const hasChanged = health.status !== before.status;
    const isCounted = health.failingStreak !== before.failingStreak;
    this.renew(now, health, {
      isUrgent: hasChanged || (isCounted && before.status !== "unhealthy"),
    });
    faultPoint("health:recorded");
    if (hasChanged) this.hooks.changed(now, health);
    if (isCounted && health.failingStreak === times.retries) this.hooks.failed(now);
  }

  private renew(
    { id, state, spec }: StoredContainer,
    health: Health,
    { isUrgent = false }: { isUrgent?: boolean },
  ): void {
    if (!spec.healthcheck) return;
    const times = healthTimes(spec.healthcheck);
    const nowMs = monotonicMs();
    const dueMs = nowMs + pauseMs(times, health.status, nowMs - state.startedMonotonicMs);
    const gridMs = GRIDS_MS.find((grid) => grid * 10 <= dueMs - nowMs);
    const nextDueMs = gridMs === undefined ? dueMs : Math.ceil(dueMs / gridMs) * gridMs;
    this.keep(id, { health, nextDueMs, runStartedMs: state.startedMonotonicMs }, isUrgent);
    this.timers.set(id, nextDueMs);
  }

  private keep(id: string, record: HealthRecord, isUrgent: boolean): void {
    this.records.set(id, record);
    this.containers.setHealth(id, record.health);
    this.unsaved.add(id);
    if (isUrgent) this.save();
    else this.saving ??= setTimeout(() => this.save(), SAVE_INTERVAL_MS);
  }

  /** What a full disk does not take is tried again. */
  private save(): void {
    clearTimeout(this.saving);
    this.saving = undefined;
    const records = new Map<string, HealthRecord>();
    for (const id of this.unsaved) {
      const record = this.records.get(id);
      if (record) records.set(id, record);
    }
    if (records.size === 0) return;
    try {
      this.table.save(records);
      this.unsaved.clear();
    } catch (error) {
      console.error(`tiffin: ${messageOf(explainExhaustion(error, "record health"))}`);
      this.saving = setTimeout(() => this.save(), SAVE_INTERVAL_MS);
    }
  }
}
