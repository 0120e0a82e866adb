import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { invalidArgument, messageOf, TiffinError } from "../base/error.ts";

/** How one registry host is reached; all paths are absolute. */
export interface HostSettings {
  /** Registries that are asked before this one when something is read: `https://mirror.example[/prefix]`, in order. */
  readonly mirrors: readonly string[];
  readonly plainHttp: boolean;
  /** PEM file of the authorities that this host's certificate is checked against, beside the system's. */
  readonly authority?: string;
  /** PEM files of a certificate for us, and of its key. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  /** True: any certificate is taken. For tests only. */
  readonly skipVerification: boolean;
}

/** Settings by host, as images' names have it: `docker.io`, `registry.example:5000`. */
export type RegistrySettings = ReadonlyMap<string, HostSettings>;

const KEYS = [
  "mirrors",
  "plainHttp",
  "authority",
  "clientCertificate",
  "clientKey",
  "skipVerification",
];

/**
 * Reads the settings of registries (docs/reference/registries.md): `{"hosts": {"HOST": {"mirrors": ["https://…"], …}}}`. No
 * file is no settings.
 *
 * @throws invalid-argument with the place of the mistake
 */
export function readRegistrySettings(file: string): RegistrySettings {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw new TiffinError("unavailable", `Cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return parseRegistrySettings(text, file);
}

/** @param file names it in errors; relative paths are relative to its directory */
export function parseRegistrySettings(text: string, file: string): RegistrySettings {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw mistake(file, `it is not JSON (${messageOf(error)})`);
  }
  const hosts = record(content, file, "the file")["hosts"] ?? {};
  const entries = Object.entries(record(hosts, file, "hosts"));
  return new Map(entries.map(([host, value]) => [host, hostSettings(value, file, host)]));
}

function hostSettings(value: unknown, file: string, host: string): HostSettings {
  const content = record(value, file, host);
  const unknown = Object.keys(content).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw mistake(file, `${host} has ${JSON.stringify(unknown)}`, `Known are ${KEYS.join(", ")}`);
  }
  const path = (key: string): Record<string, string> => {
    const given = content[key];
    if (given === undefined) return {};
    if (typeof given !== "string" || given === "") {
      throw mistake(file, `${key} of ${host} is no path`);
    }
    return { [key]: isAbsolute(given) ? given : join(dirname(file), given) };
  };
  const settings = {
    mirrors: mirrors(content["mirrors"] ?? [], file, host),
    plainHttp: boolean(content["plainHttp"], file, `plainHttp of ${host}`),
    skipVerification: boolean(content["skipVerification"], file, `skipVerification of ${host}`),
    ...path("authority"),
    ...path("clientCertificate"),
    ...path("clientKey"),
  };
  if ("clientCertificate" in settings !== "clientKey" in settings) {
    throw mistake(file, `${host} has one of clientCertificate and clientKey, and needs both`);
  }
  return settings;
}

function mirrors(value: unknown, file: string, host: string): string[] {
  if (!Array.isArray(value)) throw mistake(file, `mirrors of ${host} is no list`);
  return value.map((mirror) => {
    if (typeof mirror !== "string" || !/^https?:\/\/[^/?#]+(?:\/[^?#]*)?$/.test(mirror)) {
      throw mistake(
        file,
        `${JSON.stringify(mirror)} is no mirror of ${host}`,
        "Write it as https://HOST[:PORT][/PREFIX]",
      );
    }
    return mirror.replace(/\/+$/, "");
  });
}

function boolean(value: unknown, file: string, what: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw mistake(file, `${what} is neither true nor false`);
  return value;
}

function record(value: unknown, file: string, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw mistake(file, `${what} is no object`);
}

function mistake(file: string, reason: string, hint?: string): TiffinError {
  return invalidArgument(`Cannot read ${file}: ${reason}`, hint);
}
