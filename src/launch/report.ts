import { errnoName } from "../base/errno.ts";
import { type ErrorCode, TiffinError } from "../base/error.ts";
import type { CompiledStep, LaunchProgram } from "./compile.ts";

/** Where a report's times and registers begin (struct report in native/launch.h). */
const SLOTS = 32;

/** What a launcher says of its run (struct report in native/launch.h). */
export interface LaunchReport {
  readonly failedStep?: number;
  readonly errno: string;
  /** By step: nanoseconds from the first step's start to this step's end; 0: it did not run. */
  readonly endedAt: readonly number[];
  register(name: string): number;
}

export function parseReport(bytes: Uint8Array, program: LaunchProgram): LaunchReport {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const failedStep = view.getInt32(0, true);
  const count = view.getUint32(8, true);
  const slot = (index: number): number => Number(view.getBigInt64(SLOTS + index * 8, true));
  const scale = Number(view.getBigUint64(16, true)) / Number(view.getBigUint64(24, true));
  return {
    ...(failedStep >= 0 ? { failedStep } : {}),
    errno: errnoName(view.getInt32(4, true)),
    endedAt: Array.from({ length: count }, (_, index) => Math.round(slot(index) * scale)),
    register: (name) => {
      const index = program.registers.get(name);
      if (index === undefined)
        throw new TiffinError("internal", `No register "${name}" in the report`);
      return slot(count + index);
    },
  };
}

/** Register 0 of a report whose plan is not known: the pid (compile.ts, PID_REGISTER). */
export function foreignPid(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Number(view.getBigInt64(SLOTS + view.getUint32(8, true) * 8, true));
}

/**
 * The error of a failed step in words: what was being done, the errno, and the planner's hint. A failed exec has docker's
 * codes: command-not-found (ENOENT), command-not-executable (all else).
 */
export function launchError(report: LaunchReport, program: LaunchProgram): TiffinError {
  const step = program.steps[report.failedStep ?? 0];
  if (!step)
    return new TiffinError("internal", `Cannot launch: step ${report.failedStep} is unknown`);
  const { operation } = step;
  const hints: Partial<Record<string, string>> = operation.hints ?? {};
  const hint = hints[report.errno] ?? hints["default"];
  return new TiffinError(
    errorCode(step, report.errno),
    `Cannot ${operation.reason}: ${reasonOf(step, report.errno)}`,
    {
      ...(hint === undefined ? {} : { hint }),
      details: {
        step: report.failedStep,
        side: step.side,
        errno: report.errno,
        call: callName(step),
      },
    },
  );
}

/** A program that was looked for in PATH has docker's words: clients and scripts know them. */
function reasonOf({ operation }: CompiledStep, errno: string): string {
  const isExec = "control" in operation && operation.control === "exec";
  const isSearch = isExec && errno === "ENOENT" && !(operation.argv[0] ?? "").includes("/");
  return isSearch ? "executable file not found in $PATH" : words(errno);
}

function callName({ operation }: CompiledStep): string {
  return "call" in operation ? operation.call : operation.control;
}

function errorCode({ operation }: CompiledStep, errno: string): ErrorCode {
  if ("control" in operation && operation.control === "exec") {
    return errno === "ENOENT" || errno === "ENOTDIR"
      ? "command-not-found"
      : "command-not-executable";
  }
  if (errno === "ENOSPC" || errno === "ENOMEM" || errno === "EAGAIN" || errno === "EMFILE") {
    return "resource-exhausted";
  }
  return operation.code ?? "internal";
}

const WORDS: Partial<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOEXEC: "exec format error",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  ENOSPC: "no space left on device",
  ENOMEM: "out of memory",
  EINVAL: "invalid argument",
  EBUSY: "device or resource busy",
  ELOOP: "too many levels of symbolic links",
  ESRCH: "the container's process ended early",
  EROFS: "read-only file system",
};

function words(errno: string): string {
  const text = WORDS[errno];
  return text === undefined ? errno : `${text} (${errno})`;
}
