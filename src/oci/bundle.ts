import { readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { invalidArgument, messageOf, TiffinError } from "../base/error.ts";
import { parseJson } from "./read-json.ts";
import type { RuntimeSpec, SpecProcess } from "../base/runtime-spec.ts";
import { checkShape, PROCESS_SHAPE, SPEC_SHAPE } from "./spec-shape.ts";

/** A directory with a config.json and (usually) a root file system (runtime-spec bundle.md). */
export interface Bundle {
  /** Absolute. */
  readonly path: string;
  readonly spec: RuntimeSpec;
  /** config.json as it was read: what happens to the file later does not matter. */
  readonly text: string;
}

/** @throws not-found, invalid-argument */
export function readBundle(directory: string): Bundle {
  const path = resolve(directory);
  let text: string;
  try {
    text = readFileSync(join(path, "config.json"), "utf8");
  } catch (error) {
    throw new TiffinError(
      "not-found",
      `Cannot read the bundle's ${join(path, "config.json")}: ${messageOf(error)}`,
      { hint: "tiffin oci spec writes one to start from" },
    );
  }
  return { path, spec: parseSpec(text), text };
}

/** @throws invalid-argument */
export function parseSpec(text: string): RuntimeSpec {
  const json = parseJson(text, "config.json");
  checkShape(json, SPEC_SHAPE, "");
  const spec = json as RuntimeSpec;
  checkVersion(spec.ociVersion);
  if (spec.process !== undefined) checkProcess(spec.process);
  for (const [kind, hooks] of Object.entries(spec.hooks ?? {})) {
    for (const { path, timeout } of hooks ?? []) {
      if (!isAbsolute(path)) {
        throw invalidArgument(
          `Cannot use the ${kind} hook ${JSON.stringify(path)}: its path is not absolute`,
        );
      }
      if (timeout !== undefined && timeout <= 0) {
        throw invalidArgument(`Cannot use the ${kind} hook ${path}: its timeout is not above 0`);
      }
    }
  }
  return spec;
}

/** @throws invalid-argument */
export function parseProcess(text: string): SpecProcess {
  const json = parseJson(text, "the process");
  checkShape(json, PROCESS_SHAPE, "process");
  const process = json as SpecProcess;
  checkProcess(process);
  return process;
}

/** Versions of one major number are compatible (https://semver.org). */
function checkVersion(version: string): void {
  if (/^1\.\d+\.\d+(-[\w.+-]+)?(\+[\w.-]+)?$/.test(version)) return;
  throw invalidArgument(
    `Cannot use the configuration: ociVersion ${JSON.stringify(version)} is not a version 1.x.y`,
  );
}

function checkProcess(process: SpecProcess): void {
  if (!isAbsolute(process.cwd)) {
    throw invalidArgument(
      `Cannot use the process: its cwd ${JSON.stringify(process.cwd)} is not an absolute path`,
    );
  }
  if (process.args === undefined || process.args.length === 0 || process.args[0] === "") {
    throw invalidArgument("Cannot use the process: args must not be empty");
  }
  const types = (process.rlimits ?? []).map(({ type }) => type);
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (twice !== undefined) {
    throw invalidArgument(`Cannot use the process: the limit ${twice} is there twice`);
  }
}

/** The root file system's directory, absolute, without links. @throws invalid-argument, not-found */
export function rootDirectory(bundle: Bundle): string {
  const { root } = bundle.spec;
  if (root === undefined) throw invalidArgument("Cannot use the configuration: root is missing");
  const path = isAbsolute(root.path) ? root.path : join(bundle.path, root.path);
  let real: string;
  try {
    real = realpathSync(path);
    if (!statSync(real).isDirectory()) throw invalidArgument(`${real} is not a directory`);
  } catch (error) {
    throw new TiffinError("not-found", `Cannot use the root ${path}: ${messageOf(error)}`);
  }
  if (real === "/") throw invalidArgument('Cannot use "/" as a root: it is the host\'s');
  return real;
}
