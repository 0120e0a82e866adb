import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  assertsDirectory,
  type CopyDestination,
  type CopySource,
  followedPath,
  keepTrailing,
  splitEntry,
} from "./copy-path.ts";
import { failure } from "./failure.ts";
import { fileError } from "./file-error.ts";

const MAXIMUM_LINKS = 10;

/** A path of this machine, absolute, with its trailing marks. */
export function absolutePath(path: string): string {
  return keepTrailing(resolve(path), path);
}

/** What is to be copied from this machine: links on the way are followed, one at the end with `followLink`. @throws in the system's words */
export function findSource(path: string, followLink: boolean): CopySource {
  const { path: found, rename } = followLink ? followed(path) : parentFollowed(path);
  try {
    const isDirectory = lstatSync(found).isDirectory();
    if (!isDirectory && assertsDirectory(found)) throw failure(`lstat ${found}: not a directory`);
    return { path: found, isDirectory, rename };
  } catch (error) {
    throw fileError("lstat", found, error);
  }
}

function followed(path: string): { path: string; rename: string } {
  return followedPath(path, real(path));
}

function parentFollowed(path: string): { path: string; rename: string } {
  const slash = path.lastIndexOf("/");
  const base = path.slice(slash + 1);
  const parent = real(path.slice(0, slash + 1));
  const found = `${parent === "/" ? "" : parent}/${base}`;
  // `link/` is the directory that it leads to, under the link's name.
  const isRenamed = path.endsWith("/") && splitEntry(path).base !== splitEntry(found).base;
  return { path: found, rename: isRenamed ? splitEntry(path).base : "" };
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw fileError("lstat", path.replace(/(.)\/$/, "$1"), error);
  }
}

/** Where a copy goes on this machine: a link is followed, also to what is not there yet, whose parent must be. @throws in the system's words */
export function findDestination(asked: string): CopyDestination {
  let path = asked;
  for (let links = 0; links <= MAXIMUM_LINKS; links++) {
    const status = lstatOf(path);
    if (status === undefined) return missing(path);
    if (!status.isSymbolicLink()) {
      return { path, exists: true, isDirectory: status.isDirectory() };
    }
    const target = readlinkSync(path);
    path = target.startsWith("/") ? target : join(dirname(path), target);
  }
  throw failure(`too many symlinks in ${asked}`);
}

function lstatOf(path: string): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fileError("lstat", path, error);
  }
}

function missing(path: string): CopyDestination {
  const { directory } = splitEntry(path);
  try {
    if (!statSync(directory).isDirectory()) throw failure("not a directory");
  } catch (error) {
    throw fileError("stat", directory, error);
  }
  return { path, exists: false, isDirectory: false };
}

/** docker's look at where output is to go, before anything is asked of the engine. @throws in its words */
export function checkOutputPath(path: string): void {
  const directory = dirname(path);
  if (
    directory !== "" &&
    directory !== "." &&
    statSync(directory, { throwIfNoEntry: false }) === undefined
  ) {
    throw failure(`invalid output path: directory ${JSON.stringify(directory)} does not exist`);
  }
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined || status.isDirectory() || status.isFile()) return;
  throw failure(
    `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file`,
  );
}
