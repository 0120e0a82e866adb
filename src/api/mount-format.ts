import type { ContainerSpec, MountPoint, MountSpec } from "../engine/types.ts";
import type { MountPointWire, MountWire } from "./wire.ts";

/** The option as the user wrote it: HostConfig.Binds. */
export function formatBind(mount: MountSpec): string {
  const words = mount.words ?? "";
  return `${mount.source}:${mount.target}${words === "" ? "" : `:${words}`}`;
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
  if (mount.type === "bind") return bindOptionsOf(mount);
  if (mount.type === "volume") return volumeOptionsOf(mount);
  return mount.options.length === 0 ? {} : { TmpfsOptions: formatTmpfsOptions(mount.options) };
}

function bindOptionsOf({ propagation, createSource, bind }: MountSpec): Partial<MountWire> {
  const options = {
    ...(propagation === "" ? {} : { Propagation: propagation }),
    ...(bind?.nonRecursive ? { NonRecursive: true } : {}),
    ...(createSource ? { CreateMountpoint: true } : {}),
    ...(bind?.submounts === "writable" ? { ReadOnlyNonRecursive: true } : {}),
    ...(bind?.submounts === "readonly" ? { ReadOnlyForceRecursive: true } : {}),
  };
  return Object.keys(options).length === 0 ? {} : { BindOptions: options };
}

function volumeOptionsOf({ options, volume }: MountSpec): Partial<MountWire> {
  const { driver = "", options: driverOptions = {}, labels = {}, subpath = "" } = volume ?? {};
  const hasOptions = Object.keys(driverOptions).length > 0;
  const driverConfig = {
    ...(driver === "" ? {} : { Name: driver }),
    ...(hasOptions ? { Options: driverOptions } : {}),
  };
  const given = {
    ...(options.includes("nocopy") ? { NoCopy: true } : {}),
    ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
    ...(Object.keys(driverConfig).length === 0 ? {} : { DriverConfig: driverConfig }),
    ...(subpath === "" ? {} : { Subpath: subpath }),
  };
  return Object.keys(given).length === 0 ? {} : { VolumeOptions: given };
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

/**
 * Mounts of an inspect: what is mounted, whichever option asked for it. --tmpfs is not among them, as in docker.
 * @param volumePath the host path of a volume's content
 */
export function mountPointsOf(
  spec: ContainerSpec,
  volumePath: (name: string) => string,
): MountPointWire[] {
  return spec.mountPoints
    .filter(({ asked }) => asked !== "tmpfs-flag")
    .map((point) =>
      point.type === "volume"
        ? formatVolumePoint(point, volumePath(point.source))
        : formatMountPoint(point),
    );
}

function formatVolumePoint(point: MountPoint, path: string): MountPointWire {
  return {
    Type: "volume",
    Name: point.source,
    Source: path,
    Destination: point.target,
    Driver: "local",
    Mode: point.mode,
    RW: !point.readOnly,
    Propagation: "",
  };
}

function formatMountPoint(point: MountPoint): MountPointWire {
  const isBind = point.type === "bind";
  return {
    Type: point.type,
    Source: point.source,
    Destination: point.target,
    Mode: point.mode,
    RW: !point.readOnly,
    Propagation: isBind && point.propagation === "" ? "rprivate" : point.propagation,
  };
}
