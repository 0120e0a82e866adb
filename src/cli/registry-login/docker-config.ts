import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TiffinError } from "../../base/error.ts";

/** What proves to a registry who asks. */
export type Credentials =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** An identity token: the token server gives access tokens for it. */
  | { readonly kind: "identity"; readonly token: string };

/** Docker Hub's credentials stand under this name in config.json. */
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/** docker-credential-helpers say the user's name so when the secret is an identity token. */
export const TOKEN_USER = "<token>";
const HELPER_TIMEOUT_MS = 30_000;

export interface DockerConfig {
  readonly auths: Readonly<Record<string, AuthEntry>>;
  readonly credsStore: string | undefined;
  readonly credHelpers: Readonly<Record<string, string>>;
}

interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

/** Directory of docker's client configuration (docs.docker.com, "docker CLI: configuration files"). */
export function dockerConfigDirectory(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return environment["DOCKER_CONFIG"] || join(environment["HOME"] || "/root", ".docker");
}

/** Reads config.json of docker's client; a missing file is an empty one. @throws invalid-argument */
export function readDockerConfig(directory: string): DockerConfig {
  const file = join(directory, "config.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      return { auths: {}, credsStore: undefined, credHelpers: {} };
    throw new TiffinError("unavailable", `Cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return parseDockerConfig(text, file);
}

/** @throws invalid-argument */
export function parseDockerConfig(text: string, file: string): DockerConfig {
  const wrong = (reason: string): TiffinError =>
    new TiffinError("invalid-argument", `Cannot read ${file}: ${reason}`);
  let content: unknown;
  try {
    content = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw wrong(`it is not JSON (${messageOf(error)})`);
  }
  const object = (value: unknown, what: string): Record<string, unknown> => {
    if (value === undefined || value === null) return {};
    if (typeof value !== "object" || Array.isArray(value)) throw wrong(`${what} is no object`);
    return value as Record<string, unknown>;
  };
  const { auths, credsStore, credHelpers } = object(content, "it");
  const entries = Object.entries(object(auths, "auths")).map(([key, value]) => [
    key,
    strings(object(value, `the entry of ${key} in auths`)),
  ]);
  return {
    auths: Object.fromEntries(entries) as Record<string, AuthEntry>,
    credsStore: typeof credsStore === "string" && credsStore !== "" ? credsStore : undefined,
    credHelpers: strings(object(credHelpers, "credHelpers")),
  };
}

function strings(value: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/**
 * Credentials as docker's client finds them: a host's own helper, the store for all, then what stands in the file.
 *
 * @throws unavailable when a helper cannot be run or fails; invalid-argument when an entry cannot be read
 */
export async function credentialsFor(
  config: DockerConfig,
  host: string,
): Promise<Credentials | undefined> {
  const keys = keysOf(host);
  const named = keys.find((key) => Object.hasOwn(config.credHelpers, key));
  const helper = (named === undefined ? undefined : config.credHelpers[named]) ?? config.credsStore;
  for (const key of helper === undefined ? [] : keys) {
    const found = await askHelper(helper as string, key);
    if (found !== undefined) return found;
  }
  const entry = entryFor(config.auths, keys);
  return entry === undefined ? undefined : credentialsIn(entry, host);
}

function keysOf(host: string): string[] {
  return DOCKER_HUB_HOSTS.includes(host) ? [DOCKER_HUB_KEY, ...DOCKER_HUB_HOSTS] : [host];
}

/** Older clients wrote whole addresses: `https://registry.example/v1/`. */
function entryFor(auths: DockerConfig["auths"], keys: readonly string[]): AuthEntry | undefined {
  for (const key of keys) if (Object.hasOwn(auths, key)) return auths[key];
  const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return Object.entries(auths).find(([key]) => keys.includes(hostOf(key)))?.[1];
}

function credentialsIn(entry: AuthEntry, host: string): Credentials | undefined {
  if (entry.identitytoken) return { kind: "identity", token: entry.identitytoken };
  if (entry.username) {
    return { kind: "password", user: entry.username, password: entry.password ?? "" };
  }
  if (!entry.auth) return undefined;
  const decoded = Buffer.from(entry.auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  if (colon < 0) {
    throw new TiffinError(
      "invalid-argument",
      `Cannot use the credentials for ${host}: they have no colon`,
      { hint: `Log in again: tiffin login ${host}` },
    );
  }
  return {
    kind: "password",
    user: decoded.slice(0, colon),
    password: decoded.slice(colon + 1),
  };
}

/** Runs `docker-credential-NAME get` (github.com/docker/docker-credential-helpers, "Development"). */
async function askHelper(name: string, key: string): Promise<Credentials | undefined> {
  const answer = await runHelper(name, "get", key);
  if (answer === undefined) return undefined;
  const { Username: user, Secret: secret } = answer as { Username?: unknown; Secret?: unknown };
  if (typeof user !== "string" || typeof secret !== "string") {
    throw helperFailed(name, "its answer has no Username and Secret");
  }
  if (user === "" && secret === "") return undefined;
  return user === TOKEN_USER
    ? { kind: "identity", token: secret }
    : { kind: "password", user, password: secret };
}

/**
 * Runs a verb of a credential helper with `input` on its standard input; its JSON answer, or undefined when it has no
 * credentials.
 *
 * @throws unavailable
 */
export async function runHelper(
  name: string,
  verb: "get" | "store" | "erase",
  input: string,
): Promise<unknown> {
  if (!/^[\w.-]+$/.test(name)) throw helperFailed(name, "its name is none of a program");
  const child = spawn(`docker-credential-${name}`, [verb], {
    stdio: ["pipe", "pipe", "pipe"],
    timeout: HELPER_TIMEOUT_MS,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) => reject(helperFailed(name, messageOf(error))));
    child.on("close", resolve);
  });
  const text = Buffer.concat(out).toString("utf8").trim();
  if (status !== 0) {
    // The helpers' own word for "nothing is stored".
    if (text.includes("credentials not found")) return undefined;
    throw helperFailed(
      name,
      text || Buffer.concat(err).toString("utf8").trim() || `status ${status}`,
    );
  }
  if (verb !== "get") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw helperFailed(name, `its answer is not JSON (${messageOf(error)})`);
  }
}

function helperFailed(name: string, reason: string): TiffinError {
  return new TiffinError(
    "unavailable",
    `Cannot get credentials from docker-credential-${name}: ${reason}`,
    { hint: "Install the helper, or take it out of docker's config.json" },
  );
}
