import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { digestOf } from "../base/hash.ts";
import { messageOf } from "../base/error.ts";
import { failure } from "./failure.ts";

/*
 * Contexts: names for engines, kept as docker keeps them. DIRECTORY/contexts/meta/SHA256-OF-NAME/meta.json holds one,
 * DIRECTORY/contexts/tls/SHA256-OF-NAME its certificates; DIRECTORY/config.json says which is in use. Ours is ~/.config/tiffin;
 * those in docker's own directory are read too, and left as they are.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_CONTEXT = "default";

/** meta.json. */
export interface ContextMetadata {
  readonly Name: string;
  readonly Metadata: { readonly Description?: string };
  readonly Endpoints: {
    readonly docker?: { readonly Host?: string; readonly SkipTLSVerify: boolean };
  };
}

export interface StoredContext {
  readonly name: string;
  readonly description: string;
  /** `unix:///…`, `tcp://…`; "" when its file does not say. */
  readonly host: string;
  readonly metadata: ContextMetadata;
  readonly metadataPath: string;
  readonly tlsPath: string;
  /** In our own directory, not docker's. */
  readonly isOurs: boolean;
}

/** Where our own contexts are. */
function ownDirectory(environment: Environment): string {
  const { TIFFIN_CONFIG: own, XDG_CONFIG_HOME: config, HOME: home = "/root" } = environment;
  return own || join(config || join(home, ".config"), "tiffin");
}

function dockerDirectory(environment: Environment): string {
  const { DOCKER_CONFIG: docker, HOME: home = "/root" } = environment;
  return docker || join(home, ".docker");
}

function paths(directory: string, name: string): { metadataPath: string; tlsPath: string } {
  const hash = digestOf(name).slice("sha256:".length);
  return {
    metadataPath: join(directory, "contexts/meta", hash),
    tlsPath: join(directory, "contexts/tls", hash),
  };
}

/** @throws in docker's words when the name cannot be one */
export function checkContextName(name: string): void {
  if (name === DEFAULT_CONTEXT) throw failure(`"${DEFAULT_CONTEXT}" is a reserved context name`);
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name)) return;
  throw failure(
    `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
  );
}

/** Undefined when there is none of that name. @throws when its file is damaged */
export function readContext(environment: Environment, name: string): StoredContext | undefined {
  for (const directory of [ownDirectory(environment), dockerDirectory(environment)]) {
    const found = paths(directory, name);
    const file = join(found.metadataPath, "meta.json");
    if (!existsSync(file)) continue;
    const metadata = readMetadata(file, name);
    return {
      ...found,
      name,
      metadata,
      description: metadata.Metadata.Description ?? "",
      host: metadata.Endpoints.docker?.Host ?? "",
      isOurs: directory === ownDirectory(environment),
    };
  }
  return undefined;
}

/** As {@link readContext}. @throws in docker's words when there is none */
export function findContext(environment: Environment, name: string): StoredContext {
  const found = readContext(environment, name);
  if (found !== undefined) return found;
  const file = join(paths(ownDirectory(environment), name).metadataPath, "meta.json");
  throw failure(
    `context ${JSON.stringify(name)}: context not found: open ${file}: no such file or directory`,
  );
}

/** A context's file, whatever others wrote into it. @throws when it is no such file */
export function parseMetadata(text: string, where: string): ContextMetadata {
  let json: Partial<ContextMetadata> | null;
  try {
    json = JSON.parse(text) as Partial<ContextMetadata> | null;
  } catch (error) {
    throw failure(`tiffin: Cannot read the context in ${where}: ${messageOf(error)}`);
  }
  const host = json?.Endpoints?.docker?.Host ?? "";
  if (typeof json?.Name !== "string" || typeof host !== "string") {
    throw failure(`tiffin: Cannot read the context in ${where}: it has no name or no host`);
  }
  return { Name: json.Name, Metadata: json.Metadata ?? {}, Endpoints: json.Endpoints ?? {} };
}

function readMetadata(file: string, name: string): ContextMetadata {
  const metadata = parseMetadata(readFileSync(file, "utf8"), file);
  if (metadata.Name === name) return metadata;
  throw failure(`tiffin: Cannot use the context in ${file}: it is ${metadata.Name}, not ${name}`);
}

/** All that are stored, by name; those that cannot be read are passed over. */
export function listContexts(environment: Environment): StoredContext[] {
  const names = [ownDirectory(environment), dockerDirectory(environment)].flatMap(namesIn);
  return [...new Set(names)].toSorted().flatMap((name) => readContext(environment, name) ?? []);
}

function namesIn(directory: string): string[] {
  const meta = join(directory, "contexts/meta");
  let hashes: string[];
  try {
    hashes = readdirSync(meta);
  } catch {
    // No context was ever made there.
    return [];
  }
  return hashes.flatMap((hash) => {
    try {
      const file = join(meta, hash, "meta.json");
      const { Name: name } = parseMetadata(readFileSync(file, "utf8"), file);
      return digestOf(name) === `sha256:${hash}` ? [name] : [];
    } catch {
      // Half removed, or not a context.
      return [];
    }
  });
}

/** Writes a context whole, or not at all. */
export function writeContext(environment: Environment, metadata: ContextMetadata): void {
  const { metadataPath } = paths(ownDirectory(environment), metadata.Name);
  mkdirSync(metadataPath, { recursive: true, mode: 0o755 });
  replaceFile(join(metadataPath, "meta.json"), JSON.stringify(metadata));
}

/** Certificates of a context: `docker/ca.pem`, `docker/cert.pem`, `docker/key.pem`. */
export function writeCertificate(
  environment: Environment,
  name: string,
  file: string,
  bytes: Uint8Array,
): void {
  const { tlsPath } = paths(ownDirectory(environment), name);
  mkdirSync(join(tlsPath, "docker"), { recursive: true, mode: 0o700 });
  writeFileSync(join(tlsPath, file), bytes, { mode: 0o600 });
}

export function removeContext(context: StoredContext): void {
  rmSync(context.metadataPath, { recursive: true, force: true });
  rmSync(context.tlsPath, { recursive: true, force: true });
}

function replaceFile(file: string, text: string): void {
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, text, { mode: 0o644 });
  renameSync(partial, file);
}

/** The name that was chosen with `context use`; "default" when none was. */
function storedChoice(environment: Environment): string {
  try {
    const text = readFileSync(join(ownDirectory(environment), "config.json"), "utf8");
    const { currentContext: chosen } = JSON.parse(text) as { currentContext?: unknown };
    if (typeof chosen === "string" && chosen !== "") return chosen;
  } catch {
    // Never chosen.
  }
  return DEFAULT_CONTEXT;
}

/** Which context counts: TIFFIN_HOST goes before any, then TIFFIN_CONTEXT, then the one in use. */
export function currentContext(environment: Environment): string {
  if (environment["TIFFIN_HOST"]) return DEFAULT_CONTEXT;
  return environment["TIFFIN_CONTEXT"] || storedChoice(environment);
}

/** Makes a context the one in use from now on. Everything else in the file stays as it is. */
export function chooseContext(environment: Environment, name: string): void {
  const directory = ownDirectory(environment);
  const file = join(directory, "config.json");
  let config: Record<string, unknown> = {};
  try {
    config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    if (existsSync(file)) {
      throw failure(`tiffin: Cannot change ${file}: ${messageOf(error)}`);
    }
  }
  if (name === DEFAULT_CONTEXT && config["currentContext"] === undefined) return;
  const { currentContext: _before, ...rest } = config;
  mkdirSync(directory, { recursive: true });
  const chosen = name === DEFAULT_CONTEXT ? rest : { ...rest, currentContext: name };
  replaceFile(file, `${JSON.stringify(chosen, null, "\t")}\n`);
}

/** The host of a context by name; undefined for "default". @throws when there is none, or it cannot be used */
export function contextHost(environment: Environment, name: string): string | undefined {
  if (name === DEFAULT_CONTEXT) return undefined;
  const context = findContext(environment, name);
  if (existsSync(context.tlsPath) && readdirSync(context.tlsPath).length > 0) {
    throw failure(
      `tiffin: Cannot use context ${JSON.stringify(name)}: it has certificates, and connections with TLS are not supported yet\nhint: Use unix:// or tcp:// without TLS, or another context: tiffin context use default`,
    );
  }
  return context.host;
}
