import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DEFAULT_DOMAIN } from "../../base/reference.ts";
import { fileError } from "../file-error.ts";
import { DOCKER_HUB_KEY, parseDockerConfig, runHelper, TOKEN_USER } from "./docker-config.ts";

/** The name under which a registry's credentials stand. */
export function keyOf(domain: string): string {
  return domain === DEFAULT_DOMAIN ? DOCKER_HUB_KEY : domain;
}

/**
 * Keeps credentials as docker's client does: with the registry's helper or the store for all, else in config.json. Resolves to
 * the file when they stand there for everybody who can read it.
 *
 * @throws unavailable when a helper fails; invalid-argument when config.json cannot be read; what the system says
 */
export async function storeCredentials(
  directory: string,
  key: string,
  {
    user,
    password,
    identity,
  }: {
    readonly user: string;
    readonly password: string;
    /** An identity token, which is kept instead of the password; or "". */
    readonly identity: string;
  },
): Promise<string | undefined> {
  const content = readContent(directory);
  const helper = helperOf(directory, content, key);
  if (helper !== undefined) {
    const secret =
      identity === ""
        ? { Username: user, Secret: password }
        : { Username: TOKEN_USER, Secret: identity };
    await runHelper(helper, "store", JSON.stringify({ ServerURL: key, ...secret }));
    return undefined;
  }
  // As docker writes it: the user's name, and the token in the password's place.
  const auth = Buffer.from(`${user}:${identity === "" ? password : ""}`).toString("base64");
  const entry = identity === "" ? { auth } : { auth, identitytoken: identity };
  writeContent(directory, { ...content, auths: { ...authsOf(content), [key]: entry } });
  return join(directory, "config.json");
}

/** Forgets credentials; false when there were none. @throws as {@link storeCredentials} */
export async function eraseCredentials(directory: string, key: string): Promise<boolean> {
  const content = readContent(directory);
  const helper = helperOf(directory, content, key);
  const { [key]: entry, ...others } = authsOf(content);
  if (helper !== undefined) await runHelper(helper, "erase", key);
  if (entry !== undefined) writeContent(directory, { ...content, auths: others });
  return entry !== undefined || helper !== undefined;
}

type Content = Readonly<Record<string, unknown>>;

/** All of the file: what other programs keep there stays. */
function readContent(directory: string): Content {
  const file = join(directory, "config.json");
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw fileError("open", file, error);
  }
  parseDockerConfig(text, file);
  return text.trim() === "" ? {} : (JSON.parse(text) as Content);
}

function authsOf(content: Content): Record<string, unknown> {
  return (content["auths"] ?? {}) as Record<string, unknown>;
}

function helperOf(directory: string, content: Content, key: string): string | undefined {
  const config = parseDockerConfig(JSON.stringify(content), join(directory, "config.json"));
  return config.credHelpers[key] ?? config.credsStore;
}

/** Readers see the old file or the new one; nobody but the user sees either. */
function writeContent(directory: string, content: Content): void {
  const file = join(directory, "config.json");
  const unfinished = `${file}.unfinished-${process.pid}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const descriptor = openSync(unfinished, "wx", 0o600);
    try {
      writeSync(descriptor, `${JSON.stringify(content, undefined, "\t")}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw fileError("write", file, error);
  }
}
