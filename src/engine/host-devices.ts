import { lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DeviceRule } from "../cgroups/resources.ts";
import { majorOf, minorOf } from "../base/device-number.ts";
import { invalidArgument } from "../base/error.ts";
import type { DeviceNode } from "../namespaces/devices.ts";
import type { ContainerSpec, DeviceSpec } from "./types.ts";

/** The devices that a container gets beside the usual ones. */
export interface RequestedDevices {
  /** Nodes of its own /dev. */
  readonly nodes: readonly DeviceNode[];
  /** Devices whose path inside is elsewhere. */
  readonly outside: readonly { readonly hostPath: string; readonly containerPath: string }[];
  readonly rules: readonly DeviceRule[];
}

interface FoundDevice {
  readonly hostPath: string;
  readonly node: DeviceNode;
}

/** Reads the host's nodes. A directory brings every device below it. @throws invalid-argument */
export function requestedDevices(spec: ContainerSpec): RequestedDevices {
  const asked = spec.privileged ? [...hostDevices(), ...spec.devices] : spec.devices;
  const found = asked.flatMap((device) =>
    find(device).map((one) => ({ ...one, access: device.access })),
  );
  const isInDev = ({ node }: FoundDevice): boolean => node.path.startsWith("/dev/");
  return {
    nodes: found.filter(isInDev).map(({ node }) => node),
    outside: found
      .filter((device) => !isInDev(device))
      .map(({ hostPath, node }) => ({ hostPath, containerPath: node.path })),
    rules: spec.privileged
      ? []
      : found.map(({ node: { type, major, minor }, access }) => ({
          allow: true,
          type,
          major,
          minor,
          access,
        })),
  };
}

function find({ hostPath, containerPath }: DeviceSpec): FoundDevice[] {
  const real = resolve(hostPath);
  const status = statSync(real);
  if (status.isDirectory()) {
    return devicesBelow(real).map((path) =>
      readNode(path, containerPath + path.slice(real.length)),
    );
  }
  if (!status.isCharacterDevice() && !status.isBlockDevice()) {
    throw invalidArgument(`Cannot add device "${hostPath}": not a device node`);
  }
  return [readNode(real, containerPath || hostPath)];
}

function resolve(hostPath: string): string {
  try {
    return realpathSync(hostPath);
  } catch {
    throw invalidArgument(`Cannot add device "${hostPath}": no such file or directory`);
  }
}

function readNode(hostPath: string, path: string): FoundDevice {
  const { mode, rdev, gid, uid } = statSync(hostPath);
  return {
    hostPath,
    node: {
      path,
      type: statSync(hostPath).isBlockDevice() ? "b" : "c",
      major: majorOf(rdev),
      minor: minorOf(rdev),
      mode: mode & 0o7777,
      uid: ownId(uid),
      gid: ownId(gid),
    },
  };
}

/** Ids beyond the container's range show as root's. */
function ownId(id: number): number {
  return id < 65_536 ? id : 0;
}

const NOT_PASSED = new Set(["pts", "shm", "mqueue", "fd", "console", "ptmx", "core"]);

/** --privileged: every device of the host's /dev. */
function hostDevices(): DeviceSpec[] {
  return readdirSync("/dev")
    .filter((name) => !NOT_PASSED.has(name))
    .flatMap((name) => devicesAt(join("/dev", name)))
    .map((path) => ({ hostPath: path, containerPath: path, access: "rwm" }));
}

function devicesAt(path: string): string[] {
  const status = lstatSync(path);
  if (status.isDirectory()) return devicesBelow(path);
  return status.isCharacterDevice() || status.isBlockDevice() ? [path] : [];
}

function devicesBelow(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => devicesAt(join(directory, name)));
}
