import { apiPath } from "../../../api/client.ts";
import type { Context } from "../../command.ts";
import type { Wanted } from "./creation.ts";

/** One step of a plan, as the engine's explain route gives it. */
export interface PlannedStep {
  readonly index: number;
  readonly side: "engine" | "supervisor" | "container";
  readonly reason: string;
  readonly call: string;
  readonly nanoseconds?: number;
  /** It was done before anyone asked for the container. */
  readonly ahead?: boolean;
}

const REASON_COLUMNS = 64;
/** As wide as a time. */
const AHEAD = "     ahead";

const SIDES: Readonly<Record<PlannedStep["side"], string>> = {
  engine: "In the engine",
  supervisor: "In the supervisor",
  container: "In the container's first process, before its program",
};

/** Asks for the plan of a container that need not exist, and prints it: alone on standard output, else on error. */
export async function showPlan(
  context: Context,
  wanted: Wanted,
  shown: { readonly asJson: boolean; readonly only: boolean },
): Promise<void> {
  const steps = await requestPlan(context, wanted);
  const text = shown.asJson ? JSON.stringify(steps, undefined, 2) : planText(steps);
  await (shown.only ? context.print(text) : context.warn(`${text}\n`));
}

async function requestPlan(context: Context, wanted: Wanted): Promise<readonly PlannedStep[]> {
  const answer = await context.api.json("POST", "/tiffin/explain", {
    ...(wanted.name === "" ? {} : { query: { name: wanted.name } }),
    body: { ...wanted.body, Name: wanted.name },
  });
  return (answer as { steps: PlannedStep[] }).steps;
}

/** Starts a container and prints what each step cost. */
export async function startWithTimings(context: Context, id: string): Promise<void> {
  const answer = await context.api.json("POST", `/tiffin${apiPath("containers", id, "start")}`, {
    query: { timings: 1 },
  });
  const { steps } = answer as { steps: PlannedStep[] };
  await context.warn(`${planText(steps)}\n`);
}

/** Prints what each step of an exec's start cost; it was started with `timings=1`. */
export async function showExecTimings(context: Context, id: string): Promise<void> {
  const answer = await context.api.json("GET", `/tiffin${apiPath("exec", id, "timings")}`);
  const { steps } = answer as { steps: PlannedStep[] };
  await context.warn(`${planText(steps)}\n`);
}

/** A plan for reading: steps in their order, by the process that makes them; times when there are any. */
export function planText(steps: readonly PlannedStep[]): string {
  const hasTimes = steps.some(({ nanoseconds }) => nanoseconds !== undefined);
  const widths = steps.map(({ reason }) => short(reason).length);
  const width = Math.min(REASON_COLUMNS, Math.max(0, ...widths));
  const indexWidth = String(steps.at(-1)?.index ?? 0).length;
  const lines: string[] = [];
  let side: PlannedStep["side"] | undefined;
  for (const step of steps) {
    if (step.side !== side) {
      if (side !== undefined) lines.push("");
      side = step.side;
      lines.push(`${SIDES[side] ?? side}:`);
    }
    const time = hasTimes
      ? `${step.ahead === true ? AHEAD : milliseconds(step.nanoseconds)}  `
      : "";
    const index = String(step.index).padStart(indexWidth);
    const line = `  ${index}  ${time}${short(step.reason).padEnd(width)}  ${short(step.call)}`;
    lines.push(line.trimEnd());
  }
  if (hasTimes) {
    // The container's side runs at the same time, and the supervisor waits for it: its own steps span the whole start.
    const total = steps
      .filter((step) => step.side === "supervisor")
      .reduce((sum, { nanoseconds = 0 }) => sum + nanoseconds, 0);
    const ahead = steps.filter((step) => step.ahead === true).length;
    const also = ahead === 0 ? "" : `, ${ahead} of them done ahead`;
    lines.push(
      "",
      `${steps.length} steps${also}, ${milliseconds(total).trim()} until the program ran`,
    );
  }
  return lines.join("\n");
}

/** Whole identifiers hide what a line says; their first digits name them as well. */
function short(text: string): string {
  return text.replaceAll(/\b[0-9a-f]{64}\b/g, (id) => `${id.slice(0, 12)}…`);
}

function milliseconds(nanoseconds: number | undefined): string {
  if (nanoseconds === undefined) return " ".repeat(10);
  return `${(nanoseconds / 1e6).toFixed(3)} ms`.padStart(10);
}
