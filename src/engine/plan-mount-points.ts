import { randomBytes } from "node:crypto";
import { invalidArgument, isTiffinError, messageOf } from "../base/error.ts";
import { LOCAL_DRIVER } from "../volumes/index.ts";
import type { Container, ContainerSpec, MountPoint, MountSpec } from "./types.ts";

/** A container by what the user calls it. @throws not-found */
type FindContainer = (name: string) => Pick<Container, "spec">;

/**
 * What is mounted where in a new container, by docker's rules: mounts of other containers, then those asked for in their
 * place, then a volume for each path of the image's and of --volume that has none. Volumes without a name get one.
 * @throws invalid-argument, also for a container that is not there: docker's client would pull an image otherwise
 */
export function planMountPoints(spec: ContainerSpec, find: FindContainer): MountPoint[] {
  const points = new Map<string, MountPoint>();
  const put = (point: MountPoint): void => {
    // In a later place than what it replaces.
    points.delete(point.target);
    points.set(point.target, point);
  };
  for (const from of spec.volumesFrom) mountsOf(find, from).forEach(put);
  for (const mount of spec.mounts) put(mountPoint(mount));
  for (const path of spec.volumes) {
    const target = cleanTarget(path);
    if (!points.has(target)) put(imageVolume(target));
  }
  return [...points.values()].map((point) =>
    point.type === "volume" ? settleVolume(spec, point) : point,
  );
}

/** `CONTAINER[:MODE]`. docker allows no words about propagation and copying here. */
export function parseVolumesFrom(text: string): { container: string; mode: string } {
  const colon = text.indexOf(":");
  const container = colon === -1 ? text : text.slice(0, colon);
  const mode = colon === -1 ? "" : text.slice(colon + 1);
  const kinds = [
    ["ro", "rw"],
    ["z", "Z"],
    ["consistent", "cached", "delegated"],
  ];
  const words = mode === "" ? [] : mode.split(",");
  const isKnown = words.every((word) => kinds.some((kind) => kind.includes(word)));
  const isOnce = kinds.every((kind) => words.filter((word) => kind.includes(word)).length <= 1);
  if (!isKnown || !isOnce) throw invalidArgument(`invalid mode: ${mode}`);
  if (container === "") {
    throw invalidArgument("volumes-from specification cannot be an empty string");
  }
  return { container, mode };
}

function mountsOf(find: FindContainer, text: string): MountPoint[] {
  const { container, mode } = parseVolumesFrom(text);
  const isReadOnly = mode.split(",").includes("ro");
  return findContainer(find, container)
    .spec.mountPoints.filter(({ asked }) => asked !== "tmpfs-flag")
    .map((point) => ({
      ...point,
      asked: "volumes-from",
      mode: "",
      readOnly: point.readOnly || isReadOnly,
    }));
}

function findContainer(find: FindContainer, name: string): Pick<Container, "spec"> {
  try {
    return find(name);
  } catch (error) {
    if (!isTiffinError(error, "not-found")) throw error;
    throw invalidArgument(messageOf(error), "tiffin ps -a lists what is there");
  }
}

function mountPoint(mount: MountSpec): MountPoint {
  const isVolume = mount.type === "volume";
  return {
    ...mount,
    anonymous: isVolume && mount.source === "",
    mode: modeWords(mount),
  };
}

/** What stands behind the paths of a -v; docker's volumes are labelled for SELinux (`z`) when nothing does. */
function modeWords(mount: MountSpec): string {
  const isFlag = mount.asked === "volume-flag";
  const words = isFlag ? (mount.words ?? "") : "";
  return words === "" && mount.type === "volume" ? "z" : words;
}

function imageVolume(target: string): MountPoint {
  return {
    asked: "image",
    type: "volume",
    source: "",
    target,
    readOnly: false,
    propagation: "",
    createSource: false,
    asOwner: false,
    options: [],
    anonymous: true,
    mode: "",
  };
}

/** @throws invalid-argument for another driver, in docker's words */
function settleVolume(spec: ContainerSpec, point: MountPoint): MountPoint {
  const source = point.source === "" ? randomBytes(32).toString("hex") : point.source;
  checkDriver(source, point.volume?.driver || spec.volumeDriver);
  return { ...point, source };
}

/** @throws invalid-argument */
export function checkDriver(name: string, driver: string): void {
  if (driver === "" || driver === LOCAL_DRIVER) return;
  throw invalidArgument(
    `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
    "The local driver mounts network file systems too: --opt type=nfs",
  );
}

/** An image's path, which may be any text. @throws invalid-argument for the root */
function cleanTarget(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (parts.length === 0 || path.includes("\0")) {
    throw invalidArgument(
      `invalid volume specification: '${path}': invalid specification: destination can't be '/'`,
    );
  }
  return `/${parts.join("/")}`;
}
