import type { ExplainedStep } from "./engine.ts";

/** A client asks for them once, right after the start; so many are kept for those who are late. */
const KEPT = 64;

/** What the steps of execs cost, for clients that asked at the start. */
export class ExecTimings {
  readonly #steps = new Map<string, readonly ExplainedStep[]>();

  remember(execId: string, steps: readonly ExplainedStep[]): void {
    this.#steps.set(execId, steps);
    const [oldest] = this.#steps.keys();
    if (this.#steps.size > KEPT && oldest !== undefined) this.#steps.delete(oldest);
  }

  /** Those of one exec, once; empty when nobody asked at its start. */
  take(execId: string): readonly ExplainedStep[] {
    const steps = this.#steps.get(execId) ?? [];
    this.#steps.delete(execId);
    return steps;
  }
}
