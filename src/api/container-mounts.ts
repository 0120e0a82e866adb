import { invalidArgument, TiffinError } from "../base/error.ts";
import type { BindRequest, MountSpec, VolumeRequest } from "../engine/types.ts";
import { parseVolumesFrom } from "../engine/plan-mount-points.ts";
import { checkVolumeName } from "../volumes/index.ts";
import type { JsonObject } from "./json-object.ts";

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
  readonly volumesFrom: string[];
  readonly volumeDriver: string;
}

/**
 * Reads Binds, Mounts, Tmpfs, VolumesFrom and VolumeDriver of a HostConfig, and Volumes of the Config.
 * @throws invalid-argument in docker's words; not-implemented for kinds that are not there yet
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
  const volumesFrom = hostConfig.strings("VolumesFrom");
  volumesFrom.forEach(parseVolumesFrom);
  return {
    mounts,
    volumes: [...new Set(volumes)].filter((path) => !targets.has(path)),
    volumesFrom,
    volumeDriver: hostConfig.string("VolumeDriver"),
  };
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
  const propagation = options.find((word) => propagations.includes(word)) ?? "";
  const isBind = source.startsWith("/");
  if (isBind) refuseVolumeWords(bind, options);
  else refuseBindWords(bind, { source, propagation, options });
  return {
    asked: "volume-flag",
    type: isBind ? "bind" : "volume",
    source: isBind ? cleanPath(source) : source,
    target: cleanPath(target),
    readOnly: options.includes("ro"),
    propagation,
    createSource: isBind,
    asOwner: options.includes("me"),
    options: options.filter((word) => ["z", "Z", "nocopy"].includes(word)),
    words,
  };
}

function refuseVolumeWords(bind: string, options: readonly string[]): void {
  if (!options.includes("nocopy")) return;
  const why = 'invalid mount config for type "bind": field VolumeOptions must not be specified';
  throw invalidBind(bind, why);
}

/** A name, and no word that is about a host directory. */
function refuseBindWords(
  bind: string,
  given: { source: string; propagation: string; options: readonly string[] },
): void {
  const { source, propagation, options } = given;
  checkVolumeName(source);
  if (propagation !== "") {
    const why = 'invalid mount config for type "volume": field BindOptions must not be specified';
    throw invalidBind(bind, why);
  }
  if (options.includes("me")) {
    throw invalidBind(bind, '"me" is about the owner of a host directory, and a volume has none');
  }
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

type Particular = Pick<
  MountSpec,
  "type" | "source" | "propagation" | "createSource" | "options" | "bind" | "volume"
>;

function readBindMount(mount: JsonObject): Particular {
  refuse(mount, "bind", "VolumeOptions", "TmpfsOptions");
  const source = mount.string("Source");
  if (source === "") throw invalidMount("bind", "field Source must not be empty");
  if (!source.startsWith("/")) {
    throw invalidMount("bind", `invalid mount path: '${source}' mount path must be absolute`);
  }
  const options = mount.object("BindOptions");
  const propagation = options.string("Propagation");
  if (propagation !== "" && !propagations.includes(propagation)) {
    throw invalidMount("bind", `invalid propagation mode: ${propagation}`);
  }
  const createSource = options.boolean("CreateMountpoint");
  const bind = readRecursion(options, mount.boolean("ReadOnly"));
  const common = { type: "bind", propagation, createSource, options: [] } as const;
  return { ...common, source: cleanPath(source), ...(bind === undefined ? {} : { bind }) };
}

/** What of a bind's submounts comes along, and what a read-only bind means for them. */
function readRecursion(options: JsonObject, isReadOnly: boolean): BindRequest | undefined {
  const nonRecursive = options.boolean("NonRecursive");
  const isWritable = options.boolean("ReadOnlyNonRecursive");
  const isForced = options.boolean("ReadOnlyForceRecursive");
  const conflict = (what: string): TiffinError =>
    invalidArgument(`mount options conflict: ${what}`);
  if (isWritable && !isReadOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyNonRecursive");
  if (isForced && !isReadOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyForceRecursive");
  if (isWritable && isForced) {
    throw conflict("ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive");
  }
  const submounts = isWritable ? "writable" : isForced ? "readonly" : "";
  return nonRecursive || submounts !== "" ? { nonRecursive, submounts } : undefined;
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
  if (source !== "") checkVolumeName(source);
  const options = mount.object("VolumeOptions");
  const driver = options.object("DriverConfig");
  const volume: VolumeRequest = {
    driver: driver.string("Name"),
    options: driver.stringMap("Options"),
    labels: options.stringMap("Labels"),
    subpath: options.string("Subpath"),
  };
  checkSubpath(volume.subpath, source);
  const isPlain = JSON.stringify(volume) === JSON.stringify(PLAIN_VOLUME);
  return {
    type: "volume",
    source,
    propagation: "",
    createSource: false,
    options: options.boolean("NoCopy") ? ["nocopy"] : [],
    ...(isPlain ? {} : { volume }),
  };
}

const PLAIN_VOLUME: VolumeRequest = { driver: "", options: {}, labels: {}, subpath: "" };

/** Go's filepath.IsLocal: a relative path that does not lead upwards. */
function checkSubpath(subpath: string, source: string): void {
  if (subpath === "") return;
  if (source === "") {
    throw invalidMount("volume", "must not set Subpath when using anonymous volumes");
  }
  let depth = 0;
  const isLocal = subpath.split("/").every((part) => {
    if (part === "..") depth -= 1;
    else if (part !== "" && part !== ".") depth += 1;
    return depth >= 0;
  });
  if (isLocal && !subpath.startsWith("/")) return;
  throw invalidMount("volume", "subpath must be a relative path within the volume");
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

function unsupportedMountType(type: string): TiffinError {
  if (!["image", "npipe", "cluster"].includes(type))
    return invalidMount(type, "mount type unknown");
  return new TiffinError("not-implemented", `Mounts of type "${type}" are not supported yet`, {
    hint: "Use a mount of type bind, volume or tmpfs",
  });
}
