import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../base/error.ts";
import {
  fullReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../base/reference.ts";
import type { World } from "./command.ts";
import { failure } from "./failure.ts";
import { dockerConfigDirectory } from "./registry-login/docker-config.ts";

/*
 * Indexes that are being put together, kept as docker's client keeps them, so that either program goes on with the other's:
 * DOCKER_CONFIG/manifests/NAME-OF-THE-INDEX/NAME-OF-THE-MANIFEST, one JSON object each.
 */

/** A manifest of such an index. */
export interface ListedManifest {
  /** `docker.io/library/debian:12` */
  readonly Ref: string;
  readonly Descriptor: {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly platform?: Readonly<Record<string, unknown>>;
  };
  /** The manifest's bytes in base64. */
  readonly Raw: string;
}

/** A name as `manifest`'s commands take it. @throws invalid-argument */
export function manifestReference(name: string): Reference {
  return withDefaultTag(parseReference(name));
}

/** The manifests of an index that is being put together; undefined when there is none. */
export function readList(world: World, list: Reference): ListedManifest[] | undefined {
  const directory = listDirectory(world, list);
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw failure(`tiffin: Cannot read ${directory}: ${messageOf(error)}`);
  }
  return names
    .filter((name) => !name.endsWith(UNFINISHED))
    .toSorted()
    .map((name) => readFile(join(directory, name)));
}

/** @throws when there is no such index */
export function mustReadList(world: World, list: Reference): ListedManifest[] {
  const found = readList(world, list);
  if (found === undefined) throw failure(`No such manifest: ${fullReference(list)}`);
  return found;
}

/** One manifest of the index; undefined when it has none of that name. */
export function readListed(
  world: World,
  list: Reference,
  manifest: Reference,
): ListedManifest | undefined {
  return readList(world, list)?.find(({ Ref: name }) => name === fullReference(manifest));
}

export function saveListed(world: World, list: Reference, manifest: ListedManifest): void {
  const directory = listDirectory(world, list);
  const file = join(directory, fileName(manifest.Ref));
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${file}${UNFINISHED}`, JSON.stringify(inDockerForm(manifest)));
  renameSync(`${file}${UNFINISHED}`, file);
}

export function removeList(world: World, list: Reference): void {
  rmSync(listDirectory(world, list), { recursive: true, force: true });
}

/** As docker's client prints and keeps a manifest: what it says stands beside its bytes. */
export function inDockerForm(manifest: ListedManifest): object {
  const { Ref: ref, Descriptor: descriptor, Raw: raw } = manifest;
  const content: unknown = JSON.parse(Buffer.from(raw, "base64").toString("utf8"));
  const isDocker = descriptor.mediaType.startsWith("application/vnd.docker.");
  const key = isDocker ? "SchemaV2Manifest" : "OCIManifest";
  return { Ref: ref, Descriptor: descriptor, Raw: raw, [key]: content };
}

const UNFINISHED = ".unfinished";

function listDirectory({ environment }: World, list: Reference): string {
  return join(dockerConfigDirectory(environment), "manifests", fileName(fullReference(list)));
}

function fileName(reference: string): string {
  return reference.replaceAll(":", "-").replaceAll("/", "_");
}

function readFile(file: string): ListedManifest {
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as Partial<ListedManifest>;
    const { Ref: ref, Descriptor: descriptor, Raw: raw } = content;
    if (typeof ref !== "string" || typeof raw !== "string" || typeof descriptor !== "object") {
      throw new Error("it is no manifest with its bytes");
    }
    return { Ref: ref, Descriptor: descriptor, Raw: raw };
  } catch (error) {
    throw failure(
      `tiffin: Cannot read ${file}: ${messageOf(error)}\nhint: Remove the list with tiffin manifest rm, and make it again`,
    );
  }
}
