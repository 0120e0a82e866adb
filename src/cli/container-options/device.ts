import { normalize } from "node:path";

export interface DeviceMapping {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}

/** `HOST[:CONTAINER][:rwm]`. @throws in docker's words */
export function parseDevice(text: string): DeviceMapping {
  const parts = text.split(":");
  const [host = "", second, third] = parts;
  if (parts.length > 3 || host === "") throw new Error(`bad format for path: ${text}`);
  const secondIsAccess = third === undefined && second !== undefined && isAccess(second);
  const container = second === undefined || secondIsAccess ? normalize(host) : second;
  const access = secondIsAccess ? second : (third ?? "rwm");
  if (!isAccess(access)) throw new Error(`bad mode specified: ${access}`);
  if (!container.startsWith("/")) throw new Error(`${container} is not an absolute path`);
  return { PathOnHost: host, PathInContainer: container, CgroupPermissions: access };
}

/** A name of the container device interface: `vendor.com/class=name`. */
export function isCdiName(text: string): boolean {
  return /^[A-Za-z][\w.-]*\/[A-Za-z][\w.-]*=[\w.:-]+$/.test(text);
}

function isAccess(text: string): boolean {
  return /^[rwm]+$/.test(text) && new Set(text).size === text.length;
}
