import { readFileSync } from "node:fs";
import { messageOf } from "../../../base/error.ts";
import { splitCsv } from "../../container-options/csv.ts";
import {
  type ContextMetadata,
  DEFAULT_CONTEXT,
  type Environment,
  findContext,
  writeCertificate,
} from "../../context-store.ts";
import { failure } from "../../failure.ts";
import { openError } from "../../file-error.ts";
import { type Flag, parsed } from "../../flag.ts";
import { parseHost } from "../../host.ts";

const FILES = { ca: "docker/ca.pem", cert: "docker/cert.pem", key: "docker/key.pem" } as const;
const KEYS = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];

type Settings = ReadonlyMap<string, string>;

/** `--docker host=tcp://…,ca=FILE`. */
export const dockerFlag: Flag<Settings> = parsed<Settings>("docker", "set the docker endpoint", {
  type: "stringToString",
  initial: new Map(),
  parse: readSettings,
});

function readSettings(text: string): Settings {
  return new Map(
    splitCsv(text).map((field) => {
      const equals = field.indexOf("=");
      if (equals < 0) throw new Error(`${field} must be formatted as key=value`);
      return [field.slice(0, equals), field.slice(equals + 1)];
    }),
  );
}

/**
 * The endpoint that the settings describe, and the certificates that are to be written once the context is there.
 * @throws in docker's words
 */
export function readEndpoint(
  environment: Environment,
  settings: Settings,
  defaultHost: string,
): { endpoints: ContextMetadata["Endpoints"]; certificates: ReadonlyMap<string, Uint8Array> } {
  const unable = (reason: string): Error =>
    failure(`unable to create docker endpoint config: ${reason}`);
  for (const key of settings.keys()) {
    if (!KEYS.includes(key)) throw unable(`unrecognized config key: ${key}`);
  }
  const from = settings.get("from");
  if (from !== undefined) {
    return {
      endpoints: { docker: endpointOf(environment, from, defaultHost) },
      certificates: new Map(),
    };
  }
  const host = settings.get("host") ?? "";
  try {
    if (host !== "") parseHost(host);
  } catch {
    throw unable(
      `unable to apply docker endpoint options: unable to parse docker host \`${host}\``,
    );
  }
  const certificates = new Map<string, Uint8Array>();
  for (const [key, file] of Object.entries(FILES)) {
    const path = settings.get(key);
    if (path !== undefined) certificates.set(file, readCertificate(path, unable));
  }
  const skip = settings.get("skip-tls-verify") ?? "false";
  return {
    endpoints: { docker: { Host: host || defaultHost, SkipTLSVerify: skip === "true" } },
    certificates,
  };
}

function readCertificate(path: string, unable: (reason: string) => Error): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unable(messageOf(openError(path, error)));
  }
}

/** The endpoint of a context, the default one included. */
export function endpointOf(
  environment: Environment,
  name: string,
  defaultHost: string,
): { Host: string; SkipTLSVerify: boolean } {
  if (name === DEFAULT_CONTEXT) return { Host: defaultHost, SkipTLSVerify: false };
  const { host, metadata } = findContext(environment, name);
  return { Host: host, SkipTLSVerify: metadata.Endpoints.docker?.SkipTLSVerify === true };
}

export function writeCertificates(
  environment: Environment,
  name: string,
  certificates: ReadonlyMap<string, Uint8Array>,
): void {
  for (const [file, bytes] of certificates) writeCertificate(environment, name, file, bytes);
}
