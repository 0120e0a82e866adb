import { invalidArgument, TiffinError } from "../base/error.ts";
import type { MountSpec } from "../engine/types.ts";
import type { JsonObject } from "./json-object.ts";
import type { MountPointWire, MountWire } from "./wire.ts";

const propagations: readonly string[] = [
  "private",
  "rprivate",
  "slave",
  "rslave",
  "shared",
  "rshared",
];
/** Words about file sharing with virtual machines: docker accepts them everywhere, they mean nothing on Linux. */
const consistencies: readonly string[] = ["consistent", "cached", "delegated", "default"];

/** The mounts and the paths of anonymous volumes that a create body asks for. */
export interface AskedMounts {
  readonly mounts: MountSpec[];
  readonly volumes: string[];
}

/**
 * Reads Binds, Mounts and Tmpfs of a HostConfig, and Volumes of the Config.
 * @throws invalid-argument in docker's words; not-implemented for named volumes and kinds that are not there yet
 */
export function readMounts(config: JsonObject, hostConfig: JsonObject): AskedMounts {
  const volumes = config.keys("Volumes").map(absoluteTarget);
  const mounts: MountSpec[] = [];
  for (const bind of hostConfig.strings("Binds")) {
    if (bind.includes(":")) mounts.push(parseBind(bind));
    else volumes.push(absoluteTarget(bind));
  }
  for (const mount of hostConfig.objects("Mounts")) mounts.push(readMount(mount));
  for (const [target, options] of Object.entries(hostConfig.stringMap("Tmpfs"))) {
    mounts.push(readTmpfs(target, options));
  }
  refuseDuplicates(mounts);
  const targets = new Set(mounts.map((mount) => mount.target));
  return { mounts, volumes: [...new Set(volumes)].filter((path) => !targets.has(path)) };
}

/** `SOURCE:TARGET[:OPTION,OPTION]`, docker's --volume; `me` is ours (docs/reference/api.md). */
export function parseBind(bind: string): MountSpec {
  const [source = "", target = "", words = "", ...rest] = bind.split(":");
  if (source === "" || target === "" || rest.length > 0) throw invalidBind(bind);
  if (!target.startsWith("/")) {
    throw invalidBind(
      bind,
      `invalid mount config for type "bind": invalid mount path: '${target}' mount path must be absolute`,
    );
  }
  if (cleanPath(target) === "/")
    throw invalidBind(bind, "invalid specification: destination can't be '/'");
  const options = words === "" ? [] : words.split(",");
  checkBindOptions(words, options);
  if (!source.startsWith("/")) throw namedVolume(source);
  return {
    asked: "volume-flag",
    type: "bind",
    source: cleanPath(source),
    target: cleanPath(target),
    readOnly: options.includes("ro"),
    propagation: options.find((word) => propagations.includes(word)) ?? "",
    createSource: true,
    asOwner: options.includes("me"),
    options: options.filter((word) => ["z", "Z", "nocopy"].includes(word)),
  };
}

/** At most one word of each kind. */
function checkBindOptions(words: string, options: readonly string[]): void {
  const kinds = [["ro", "rw"], ["z", "Z"], ["nocopy"], ["me"], propagations, consistencies];
  const isKnown = options.every((word) => kinds.some((kind) => kind.includes(word)));
  const isOnce = kinds.every((kind) => options.filter((word) => kind.includes(word)).length <= 1);
  if (!isKnown || !isOnce) throw invalidArgument(`invalid mode: ${words}`);
}

function readMount(mount: JsonObject): MountSpec {
  const type = mount.string("Type");
  const target = mount.string("Target");
  if (!["bind", "tmpfs", "volume"].includes(type)) throw unsupportedMountType(type);
  if (target === "") throw invalidMount(type, "field Target must not be empty");
  if (!target.startsWith("/")) {
    throw invalidMount(type, `invalid mount path: '${target}' mount path must be absolute`);
  }
  if (cleanPath(target) === "/") {
    throw invalidMount(type, "invalid specification: destination can't be '/'");
  }
  const common = {
    asked: "mount-flag",
    target: cleanPath(target),
    readOnly: mount.boolean("ReadOnly"),
    asOwner: false,
  } as const;
  if (type === "bind") return { ...common, ...readBindMount(mount) };
  if (type === "tmpfs") return { ...common, ...readTmpfsMount(mount) };
  return { ...common, ...readVolumeMount(mount) };
}

type Particular = Pick<MountSpec, "type" | "source" | "propagation" | "createSource" | "options">;

function readBindMount(mount: JsonObject): Particular {
  refuse(mount, "bind", "VolumeOptions", "TmpfsOptions");
  const source = mount.string("Source");
  if (source === "") throw invalidMount("bind", "field Source must not be empty");
  if (!source.startsWith("/")) {
    throw invalidMount("bind", `invalid mount path: '${source}' mount path must be absolute`);
  }
  const options = mount.object("BindOptions");
  for (const name of ["NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"]) {
    if (options.boolean(name)) throw unsupportedMountOption("bind", name);
  }
  const propagation = options.string("Propagation");
  if (propagation !== "" && !propagations.includes(propagation)) {
    throw invalidMount("bind", `invalid propagation mode: ${propagation}`);
  }
  const createSource = options.boolean("CreateMountpoint");
  return { type: "bind", source: cleanPath(source), propagation, createSource, options: [] };
}

function readTmpfsMount(mount: JsonObject): Particular {
  refuse(mount, "tmpfs", "BindOptions", "VolumeOptions");
  if (mount.string("Source") !== "") throw invalidMount("tmpfs", "field Source must not be set");
  const asked = mount.object("TmpfsOptions");
  const size = asked.integer("SizeBytes");
  const mode = asked.integer("Mode");
  if (size < 0) throw invalidMount("tmpfs", "size must not be negative");
  const options = [
    ...(size === 0 ? [] : [`size=${size}`]),
    ...(mode === 0 ? [] : [`mode=${mode.toString(8)}`]),
    ...tmpfsWords(asked.raw("Options")),
  ];
  return { type: "tmpfs", source: "", propagation: "", createSource: false, options };
}

/** `[["noexec"],["uid","5"]]` */
function tmpfsWords(options: unknown): string[] {
  if (options === null) return [];
  const isPairs =
    Array.isArray(options) &&
    options.every(
      (pair: unknown) =>
        Array.isArray(pair) &&
        (pair.length === 1 || pair.length === 2) &&
        pair.every((word) => typeof word === "string"),
    );
  if (!isPairs) throw invalidMount("tmpfs", "Options must be a list of lists of one or two words");
  return (options as string[][]).map((pair) => pair.join("="));
}

function readVolumeMount(mount: JsonObject): Particular {
  refuse(mount, "volume", "BindOptions", "TmpfsOptions");
  const source = mount.string("Source");
  if (source !== "") throw namedVolume(source);
  const options = mount.object("VolumeOptions");
  for (const name of ["Subpath", "DriverConfig", "Labels"]) {
    const value = options.raw(name);
    const isEmpty = value === null || value === "" || JSON.stringify(value) === "{}";
    if (!isEmpty) throw unsupportedMountOption("volume", name);
  }
  const words = options.boolean("NoCopy") ? ["nocopy"] : [];
  return { type: "volume", source: "", propagation: "", createSource: false, options: words };
}

function readTmpfs(target: string, words: string): MountSpec {
  if (!target.startsWith("/")) {
    throw invalidMount("tmpfs", `invalid mount path: '${target}' mount path must be absolute`);
  }
  const options = words.split(",").filter((word) => word !== "");
  return {
    asked: "tmpfs-flag",
    type: "tmpfs",
    source: "",
    target: cleanPath(target),
    readOnly: options.includes("ro"),
    propagation: "",
    createSource: false,
    asOwner: false,
    options: options.filter((word) => word !== "ro" && word !== "rw"),
  };
}

function refuseDuplicates(mounts: readonly MountSpec[]): void {
  const seen = new Set<string>();
  for (const { target } of mounts) {
    if (seen.has(target)) throw invalidArgument(`Duplicate mount point: ${target}`);
    seen.add(target);
  }
}

function refuse(mount: JsonObject, type: string, ...fields: string[]): void {
  for (const field of fields) {
    if (mount.objectOrNull(field) !== null) {
      throw invalidMount(type, `field ${field} must not be specified`);
    }
  }
}

function absoluteTarget(target: string): string {
  if (!target.startsWith("/")) {
    throw invalidArgument(
      `invalid volume specification: '${target}': invalid mount path: '${target}' mount path must be absolute`,
    );
  }
  return cleanPath(target);
}

/** Without `.`, `..`, doubled and trailing slashes, as docker shows paths; `..` does not leave the root. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function invalidBind(bind: string, why?: string): TiffinError {
  const detail = why === undefined ? "" : `: ${why}`;
  return invalidArgument(`invalid volume specification: '${bind}'${detail}`);
}

function invalidMount(type: string, why: string): TiffinError {
  return invalidArgument(`invalid mount config for type "${type}": ${why}`);
}

function namedVolume(name: string): TiffinError {
  return new TiffinError("not-implemented", `Named volumes are not supported yet: "${name}"`, {
    hint: "Use a host directory: its path must start with /",
  });
}

function unsupportedMountType(type: string): TiffinError {
  if (!["image", "npipe", "cluster"].includes(type))
    return invalidMount(type, "mount type unknown");
  return new TiffinError("not-implemented", `Mounts of type "${type}" are not supported yet`, {
    hint: "Use a mount of type bind or tmpfs",
  });
}

function unsupportedMountOption(type: string, name: string): TiffinError {
  return new TiffinError(
    "not-implemented",
    `Option ${name} of a mount of type "${type}" is not supported yet`,
    { hint: "Leave the option out" },
  );
}

/** The option as the user wrote it: HostConfig.Binds. */
export function formatBind(mount: MountSpec): string {
  const words = [
    ...(mount.readOnly ? ["ro"] : []),
    ...(mount.asOwner ? ["me"] : []),
    ...(mount.propagation === "" ? [] : [mount.propagation]),
    ...mount.options,
  ];
  const suffix = words.length === 0 ? "" : `:${words.join(",")}`;
  return `${mount.source}:${mount.target}${suffix}`;
}

/** HostConfig.Mounts */
export function formatMount(mount: MountSpec): MountWire {
  return {
    Type: mount.type,
    ...(mount.source === "" ? {} : { Source: mount.source }),
    Target: mount.target,
    ...(mount.readOnly ? { ReadOnly: true } : {}),
    ...optionsOf(mount),
  };
}

function optionsOf(mount: MountSpec): Partial<MountWire> {
  if (mount.type === "bind") {
    if (mount.propagation === "" && !mount.createSource) return {};
    return {
      BindOptions: {
        ...(mount.propagation === "" ? {} : { Propagation: mount.propagation }),
        ...(mount.createSource ? { CreateMountpoint: true } : {}),
      },
    };
  }
  if (mount.options.length === 0) return {};
  if (mount.type === "volume") return { VolumeOptions: { NoCopy: true } };
  return { TmpfsOptions: formatTmpfsOptions(mount.options) };
}

function formatTmpfsOptions(options: readonly string[]): MountWire["TmpfsOptions"] & object {
  const size = options.find((word) => /^size=\d+$/.test(word));
  const mode = options.find((word) => word.startsWith("mode="));
  const rest = options.filter((word) => word !== size && word !== mode);
  return {
    ...(size === undefined ? {} : { SizeBytes: Number(size.slice("size=".length)) }),
    ...(mode === undefined ? {} : { Mode: Number.parseInt(mode.slice("mode=".length), 8) }),
    ...(rest.length === 0 ? {} : { Options: rest.map((word) => splitOnce(word)) }),
  };
}

function splitOnce(word: string): string[] {
  const at = word.indexOf("=");
  return at === -1 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

/** HostConfig.Tmpfs */
export function formatTmpfs(mount: MountSpec): [target: string, options: string] {
  return [mount.target, [...(mount.readOnly ? ["ro"] : []), ...mount.options].join(",")];
}

/** Mounts of an inspect: what is mounted, whichever option asked for it. --tmpfs is not among them, as in docker. */
export function formatMountPoint(mount: MountSpec): MountPointWire {
  const isFlag = mount.asked === "volume-flag";
  return {
    Type: mount.type,
    Source: mount.source,
    Destination: mount.target,
    Mode: isFlag ? formatBind(mount).split(":").slice(2).join(":") : "",
    RW: !mount.readOnly,
    Propagation: mount.type === "bind" && mount.propagation === "" ? "rprivate" : mount.propagation,
  };
}
