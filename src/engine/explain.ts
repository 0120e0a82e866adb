import type { Operand, Operation } from "../base/operation.ts";
import type { CompiledStep, Side } from "../launch/compile.ts";
import type { Launched } from "../launch/launcher.ts";
import type { ExplainedStep } from "./engine.ts";

/** A plan in words, in the order in which it is written (the two sides of a fork run at the same time). */
export function explainPlan(plan: readonly Operation[]): ExplainedStep[] {
  return [...walk(plan, "supervisor")].map(({ operation, side }, index) => ({
    index,
    side,
    reason: operation.reason,
    call: callText(operation),
  }));
}

function* walk(operations: readonly Operation[], side: Side): Generator<CompiledStep> {
  for (const operation of operations) {
    yield { operation, side };
    if (!("control" in operation)) continue;
    if (operation.control === "fork") yield* walk(operation.child, "container");
    if (operation.control === "branch") {
      yield* walk(operation.then, side);
      yield* walk(operation.otherwise ?? [], side);
    }
  }
}

/**
 * What ran, and what each step took: from the end of the step before it on the same side to its own end. What a launch did
 * ahead, before anyone asked for the container, is told without a time.
 */
export function explainLaunched({ program, report }: Launched): ExplainedStep[] {
  const lastEnd: Record<Side, number> = { supervisor: 0, container: 0 };
  const steps = new Map<Operation, ExplainedStep>();
  program.steps.forEach(({ operation, side }, index) => {
    const endedAt = report.endedAt[index] ?? 0;
    if (endedAt === 0 && !("control" in operation && operation.control === "exec")) return;
    if (index < program.ahead) {
      lastEnd[side] = endedAt;
      if ("control" in operation && operation.control === "rest") return;
      const text = { side, reason: operation.reason, call: callText(operation) };
      steps.set(operation, {
        index: steps.get(operation)?.index ?? steps.size,
        ...text,
        ahead: true,
      });
      return;
    }
    const nanoseconds = endedAt === 0 ? 0 : Math.max(0, endedAt - lastEnd[side]);
    if (endedAt > 0) lastEnd[side] = endedAt;
    if (side === "supervisor" && "control" in operation && operation.control === "fork") {
      lastEnd.container = endedAt;
    }
    const before = steps.get(operation)?.nanoseconds ?? 0;
    steps.set(operation, {
      index: steps.get(operation)?.index ?? steps.size,
      side,
      reason: operation.reason,
      call: callText(operation),
      nanoseconds: before + nanoseconds,
    });
  });
  return [...steps.values()];
}

function callText(operation: Operation): string {
  if ("call" in operation) {
    const result = operation.result === undefined ? "" : ` -> ${operation.result}`;
    return `${operation.call}(${operation.args.map(operandText).join(", ")})${result}`;
  }
  switch (operation.control) {
    case "fork":
      return `clone3(0x${operation.flags.toString(16)}) -> ${operation.pid}`;
    case "branch":
      return `if ${operation.ifNegative.register} < 0`;
    case "load":
      return `${operation.from.scratch}[${operation.offset}] -> ${operation.result}`;
    case "signal":
      return `write(${operation.eventfd.register}, 1)`;
    case "wait":
      return `poll(${operandText(operation.for)}, ${operation.until})`;
    case "decimal":
      return `${operation.to.scratch} = text of ${operation.from.register}`;
    case "exec":
      return `execve(${JSON.stringify(operation.candidates[0] ?? "")}, ${JSON.stringify(operation.argv)})`;
    case "init":
      return "init";
    case "supervise":
      return "supervise";
    case "rest":
      return "rest";
  }
}

function operandText(operand: Operand): string {
  if (operand === null) return "NULL";
  if (typeof operand === "number") return operand < 0 ? String(operand) : numberText(operand);
  if (typeof operand === "bigint") return `0x${operand.toString(16)}`;
  if (typeof operand === "string") return JSON.stringify(operand);
  if (operand instanceof Uint8Array) return bytesText(operand);
  if ("register" in operand) return operand.register;
  if ("scratch" in operand) return operand.scratch;
  if ("vector" in operand)
    return `[${operand.vector.map((text) => JSON.stringify(text)).join(", ")}]`;
  return `{${operand.struct.map(([, value]) => operandText(value)).join(", ")}}`;
}

function numberText(number: number): string {
  return number < 4096 ? String(number) : `0x${number.toString(16)}`;
}

function bytesText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  return /^[\x20-\x7e\n]*$/.test(text) ? JSON.stringify(text) : `${bytes.length} bytes`;
}
