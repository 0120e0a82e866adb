import { resolve } from "node:path";
import { parseBinarySize } from "../../base/size.ts";
import { parseBoolean } from "../flag.ts";
import { splitCsv } from "./csv.ts";

/** A mount as the API takes it in HostConfig.Mounts. */
export interface Mount {
  Type: string;
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: Record<string, unknown>;
  VolumeOptions?: Record<string, unknown>;
  TmpfsOptions?: Record<string, unknown>;
  ImageOptions?: Record<string, unknown>;
}

type Setter = (mount: Mount, value: string, key: string) => void;

/** Keys that may stand alone, and what that means. */
const SWITCHES: Readonly<Record<string, string>> = {
  readonly: "true",
  ro: "true",
  "volume-nocopy": "true",
  "bind-nonrecursive": "true",
  "bind-create-src": "true",
};

const SETTERS: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase();
  },
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadOnly,
  ro: setReadOnly,
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase();
  },
  "bind-propagation": (mount, value) => {
    bind(mount)["Propagation"] = value.toLowerCase();
  },
  "bind-nonrecursive": (mount, value, key) => {
    bind(mount)["NonRecursive"] = booleanOf(value, key);
  },
  "bind-recursive": setRecursive,
  "bind-create-src": (mount, value, key) => {
    bind(mount)["CreateMountpoint"] = booleanOf(value, key);
  },
  "volume-subpath": (mount, value) => {
    volume(mount)["Subpath"] = value;
  },
  "volume-nocopy": (mount, value, key) => {
    volume(mount)["NoCopy"] = booleanOf(value, key);
  },
  "volume-label": (mount, value) => addPair(volume(mount), "Labels", value),
  "volume-driver": (mount, value) => {
    driver(mount)["Name"] = value;
  },
  "volume-opt": (mount, value) => addPair(driver(mount), "Options", value),
  "image-subpath": (mount, value) => {
    mount.ImageOptions = { ...mount.ImageOptions, Subpath: value };
  },
  "tmpfs-size": (mount, value, key) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: sizeOf(value, key) };
  },
  "tmpfs-mode": (mount, value, key) => {
    if (!/^[0-7]{1,11}$/.test(value)) throw invalid(key, value);
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
  },
};

/**
 * The value of `--mount`: comma-separated `key=value` pairs.
 *
 * @throws in docker's words
 */
export function parseMount(text: string): Mount {
  const mount: Mount = { Type: "volume", Target: "" };
  for (const field of splitCsv(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? SWITCHES[key] : field.slice(equals + 1);
    if (value === undefined) throw new Error(`invalid field '${field}' must be a key=value pair`);
    const set = Object.hasOwn(SETTERS, key) ? SETTERS[key] : undefined;
    if (set === undefined) throw new Error(`unexpected key '${key}' in '${field}'`);
    set(mount, value, key);
  }
  check(mount);
  return mount;
}

function check(mount: Mount): void {
  if (mount.Type === "") throw new Error("type is required");
  if (mount.Target === "") throw new Error("target is required");
  const families = [
    ["volume", mount.VolumeOptions],
    ["image", mount.ImageOptions],
    ["bind", mount.BindOptions],
    ["tmpfs", mount.TmpfsOptions],
  ] as const;
  for (const [family, options] of families) {
    if (options !== undefined && mount.Type !== family) {
      throw new Error(`cannot mix '${family}-*' options with mount type '${mount.Type}'`);
    }
  }
  const isReadOnly = mount.ReadOnly === true;
  const needs = (option: string, what: string): Error =>
    new Error(`option '${option}' requires '${what}' to be specified in conjunction`);
  if (mount.BindOptions?.["ReadOnlyNonRecursive"] === true && !isReadOnly) {
    throw needs("bind-recursive=writable", "readonly");
  }
  if (mount.BindOptions?.["ReadOnlyForceRecursive"] === true) {
    if (!isReadOnly) throw needs("bind-recursive=readonly", "readonly");
    if (mount.BindOptions["Propagation"] !== "rprivate") {
      throw needs("bind-recursive=readonly", "bind-propagation=rprivate");
    }
  }
}

function setSource(mount: Mount, value: string): void {
  mount.Source = value.startsWith(".") ? resolve(value) : value;
}

function setTarget(mount: Mount, value: string): void {
  mount.Target = value;
}

function setReadOnly(mount: Mount, value: string, key: string): void {
  mount.ReadOnly = booleanOf(value, key);
}

function setRecursive(mount: Mount, value: string, key: string): void {
  const options = bind(mount);
  if (value === "disabled") options["NonRecursive"] = true;
  else if (value === "writable") options["ReadOnlyNonRecursive"] = true;
  else if (value === "readonly") options["ReadOnlyForceRecursive"] = true;
  else if (value !== "enabled") {
    throw new Error(
      `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
  }
}

function bind(mount: Mount): Record<string, unknown> {
  mount.BindOptions ??= {};
  return mount.BindOptions;
}

function volume(mount: Mount): Record<string, unknown> {
  mount.VolumeOptions ??= {};
  return mount.VolumeOptions;
}

function driver(mount: Mount): Record<string, unknown> {
  const options = volume(mount);
  options["DriverConfig"] ??= {};
  return options["DriverConfig"] as Record<string, unknown>;
}

function addPair(target: Record<string, unknown>, field: string, pair: string): void {
  const equals = pair.indexOf("=");
  const key = equals < 0 ? pair : pair.slice(0, equals);
  if (key === "") return;
  const before = (target[field] ?? {}) as Record<string, string>;
  target[field] = { ...before, [key]: equals < 0 ? "" : pair.slice(equals + 1) };
}

function booleanOf(value: string, key: string): boolean {
  const boolean = parseBoolean(value);
  if (boolean === undefined) throw invalid(key, value);
  return boolean;
}

function sizeOf(value: string, key: string): number {
  try {
    return parseBinarySize(value);
  } catch {
    throw invalid(key, value);
  }
}

function invalid(key: string, value: string): Error {
  return new Error(`invalid value for ${key}: ${value}`);
}
