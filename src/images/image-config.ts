import { type DiffId, parseDiffId } from "../base/digest.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import type { ImageConfig } from "./image-store.ts";
import { asRecord, parseJson } from "./manifest.ts";

type Shape = "string" | "strings" | "text map" | "object map" | "object";

/** Fields of `config` that containers use, and what they must be: a wrong one is refused now, not at a start. */
const FIELDS: Readonly<Record<string, Shape>> = {
  User: "string",
  WorkingDir: "string",
  StopSignal: "string",
  Env: "strings",
  Entrypoint: "strings",
  Cmd: "strings",
  Shell: "strings",
  OnBuild: "strings",
  Labels: "text map",
  ExposedPorts: "object map",
  Volumes: "object map",
  Healthcheck: "object",
};

const CHECKS: Readonly<Record<Shape, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  strings: isStrings,
  "text map": (value) => valuesOf(value)?.every((item) => typeof item === "string") ?? false,
  "object map": (value) =>
    valuesOf(value)?.every((item) => item === null || asRecord(item) !== undefined) ?? false,
  object: (value) => asRecord(value) !== undefined,
};

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function valuesOf(value: unknown): unknown[] | undefined {
  const record = asRecord(value);
  return record === undefined ? undefined : Object.values(record);
}

/**
 * Parses an image configuration (image-spec v1.1.1 config.md, docker's image JSON). Fields that are not known are kept.
 *
 * @throws invalid-argument, not-implemented (an image of another operating system)
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const what = "the image configuration";
  const content = asRecord(parseJson(bytes, what));
  if (content === undefined) throw invalidArgument(`Cannot read ${what}: it is not an object`);
  const { os, architecture, rootfs, history } = content;
  if (typeof os === "string" && os !== "" && os !== "linux") {
    throw new TiffinError("not-implemented", `Cannot use an image for ${os}`, {
      hint: "Use an image for linux",
    });
  }
  const config = checkedConfig(content["config"] ?? {}, what);
  const diffIds = asRecord(rootfs)?.["diff_ids"] ?? [];
  if (!Array.isArray(diffIds) || !isStrings(diffIds)) {
    throw invalidArgument(`Cannot read ${what}: "rootfs.diff_ids" is not a list of strings`);
  }
  for (const diffId of diffIds as string[]) parseDiffId(diffId);
  return {
    ...content,
    os: "linux",
    architecture: typeof architecture === "string" ? architecture : "",
    config,
    rootfs: { type: "layers", diff_ids: diffIds as string[] },
    history: historyOf(history),
  } as ImageConfig;
}

/** Go writes what is not set as null: such fields are left out. */
function checkedConfig(value: unknown, what: string): Record<string, unknown> {
  const config = asRecord(value);
  if (config === undefined) throw invalidArgument(`Cannot read ${what}: "config" is not an object`);
  const set = Object.entries(config).filter(([, field]) => field !== null);
  for (const [name, field] of set) {
    const shape = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (shape !== undefined && !CHECKS[shape](field)) {
      throw invalidArgument(`Cannot read ${what}: "config.${name}" is not a ${shape}`);
    }
  }
  return Object.fromEntries(set);
}

function historyOf(history: unknown): unknown[] {
  if (history === undefined || history === null) return [];
  if (!Array.isArray(history)) {
    throw invalidArgument('Cannot read the image configuration: "history" is not a list');
  }
  return history.filter((entry) => asRecord(entry) !== undefined);
}

/** The layers of a parsed configuration, lowest first. */
export function diffIdsOf(config: ImageConfig): DiffId[] {
  return config.rootfs.diff_ids.map(parseDiffId);
}
