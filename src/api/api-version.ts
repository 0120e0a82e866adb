import { invalidArgument } from "../base/error.ts";
import type { TiffinError } from "../base/error.ts";

/** A version of Docker's Engine API: `{ major: 1, minor: 51 }`. */
export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

export const maximumApiVersion: ApiVersion = { major: 1, minor: 51 };
export const minimumApiVersion: ApiVersion = { major: 1, minor: 24 };

export function formatApiVersion(version: ApiVersion): string {
  return `${version.major}.${version.minor}`;
}

/** True when `version` is `major.minor` or newer; answers differ in shape by the version that a client speaks. */
export function isAtLeast(version: ApiVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** A request's path without its version prefix; a path without a prefix speaks the newest version. */
export interface VersionedPath {
  readonly version: ApiVersion;
  readonly path: string;
}

/**
 * Splits `/v1.41/containers/json`. @throws invalid-argument, in docker's words, for a version that is not spoken here.
 */
export function splitVersion(path: string): VersionedPath {
  const match = /^\/v(\d{1,4})\.(\d{1,4})(\/.*)$/.exec(path);
  if (match === null) return { version: maximumApiVersion, path };
  const version = { major: Number(match[1]), minor: Number(match[2]) };
  if (!isAtLeast(version, minimumApiVersion.major, minimumApiVersion.minor)) throw tooOld(version);
  if (!isAtLeast(maximumApiVersion, version.major, version.minor)) throw tooNew(version);
  return { version, path: match[3] ?? "/" };
}

function tooOld(version: ApiVersion): TiffinError {
  const asked = formatApiVersion(version);
  const minimum = formatApiVersion(minimumApiVersion);
  return invalidArgument(
    `client version ${asked} is too old. Minimum supported API version is ${minimum}, please upgrade your client to a newer version`,
  );
}

function tooNew(version: ApiVersion): TiffinError {
  const asked = formatApiVersion(version);
  const maximum = formatApiVersion(maximumApiVersion);
  return invalidArgument(
    `client version ${asked} is too new. Maximum supported API version is ${maximum}`,
    `Set DOCKER_API_VERSION=${maximum}, or let the client negotiate`,
  );
}
