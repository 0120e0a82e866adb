import { posix } from "node:path";
import { apiPath } from "../../../api/client.ts";
import { isTiffinError } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import {
  type CopyDestination,
  followedPath,
  planCopy,
  rebase,
  splitCopyArgument,
  splitEntry,
} from "../../copy-path.ts";
import { CopyProgress } from "../../copy-progress.ts";
import { failure } from "../../failure.ts";
import { toggle } from "../../flag.ts";
import { absolutePath, checkOutputPath, findDestination, findSource } from "../../host-path.ts";
import { standardInput } from "../../input.ts";

const archive = toggle("archive", "Archive mode (copy all uid/gid information)", { short: "a" });
const followLink = toggle("follow-link", "Always follow symlinks in SRC_PATH", { short: "L" });
const quiet = toggle(
  "quiet",
  "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
  { short: "q" },
);

export const command: Command = {
  usage:
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\ttiffin cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  summary: "Copy files/folders between a container and the local filesystem",
  examples: `# A directory of the container's, into this one
tiffin cp web:/etc/nginx .
# What is in site, into the container's directory
tiffin cp site/. web:/usr/share/nginx/html
# '-' is a tar archive, from standard input or to standard output
tiffin cp web:/var/log - | tar t
tar c site | tiffin cp - web:/srv`,
  flags: [archive, followLink, quiet],
  operands: { exactly: 2 },
  run,
};

interface Copy {
  readonly context: Context;
  readonly container: string;
  readonly source: string;
  readonly destination: string;
  readonly followLink: boolean;
  readonly isQuiet: boolean;
}

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [first = "", second = ""] = given.operands;
  if (first === "") throw failure("source can not be empty");
  if (second === "") throw failure("destination can not be empty");
  const from = splitCopyArgument(first);
  const to = splitCopyArgument(second);
  if (from.container !== "" && to.container !== "") {
    throw failure("copying between containers is not supported");
  }
  if (from.container === "" && to.container === "") {
    throw failure("must specify at least one container source");
  }
  const isQuiet = given.has(quiet)
    ? given.get(quiet)
    : !(await context.world.output.outIsTerminal());
  const copy = {
    context,
    container: from.container || to.container,
    source: from.path,
    destination: to.path,
    followLink: given.get(followLink),
    isQuiet,
  };
  if (from.container === "") await copyTo(copy, given.get(archive));
  else await copyFrom(copy);
  return 0;
}

/** What the engine tells of a path. */
interface ContainerPath {
  readonly isDirectory: boolean;
  readonly isLink: boolean;
  readonly isOther: boolean;
  readonly linkTarget: string;
}

const GO_DIRECTORY = 2 ** 31;
const GO_LINK = 2 ** 27;
/** Go's types that are neither directory, link nor regular file: devices, pipes, sockets. */
const GO_OTHERS = [2 ** 26, 2 ** 25, 2 ** 24, 2 ** 21, 2 ** 19];

function parseStatus(headers: ReadonlyMap<string, string>): ContainerPath {
  const header = headers.get("x-docker-container-path-stat") ?? "";
  let status: { mode?: number; linkTarget?: string } = {};
  try {
    status = JSON.parse(Buffer.from(header, "base64").toString()) as typeof status;
  } catch {
    throw failure("tiffin: The engine did not tell what the path is");
  }
  const { mode = 0, linkTarget = "" } = status;
  const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1;
  return {
    isDirectory: has(GO_DIRECTORY),
    isLink: has(GO_LINK),
    isOther: GO_OTHERS.some(has),
    linkTarget,
  };
}

/** Undefined when it cannot be looked at: whatever the reason, the copy itself will tell. */
async function statusOf(copy: Copy, path: string): Promise<ContainerPath | undefined> {
  try {
    const response = await copy.context.api.request("HEAD", archivePath(copy), { query: { path } });
    response.close();
    return parseStatus(response.headers);
  } catch {
    return undefined;
  }
}

function archivePath({ container }: Copy): string {
  return apiPath("containers", container, "archive");
}

async function copyFrom(copy: Copy): Promise<void> {
  const isOutput = copy.destination === "-";
  const destination = isOutput ? "-" : absolutePath(copy.destination);
  if (!isOutput) checkOutputPath(destination);
  const { path, rename } = copy.followLink
    ? await followedSource(copy)
    : { path: copy.source, rename: "" };
  if (!isOutput && (await copyFromDirectly(copy, { path, rename }, destination))) return;
  const response = await copy.context.api.request("GET", archivePath(copy), { query: { path } });
  const { output } = copy.context.world;
  if (isOutput) {
    for await (const chunk of response.body) await output.out(chunk);
    return;
  }
  const { isDirectory } = parseStatus(response.headers);
  const oldBase = splitEntry(path).base;
  const plan = planCopy({ path, isDirectory, rename }, findDestination(destination));
  const progress = new CopyProgress(copy.context, "from", copy.isQuiet);
  const { unpackToHost } = await import("../../host-unpack.ts");
  await unpackToHost(progress.count(response.body), plan.directory, (name) =>
    rebase(name, oldBase, plan.base),
  );
  await progress.finish(destination);
}

/**
 * As {@link copyDirectly}. False also when the source cannot be looked at: the archive's request has the words for it.
 */
async function copyFromDirectly(
  copy: Copy,
  { path, rename }: { path: string; rename: string },
  destination: string,
): Promise<boolean> {
  if (!copy.isQuiet) return false;
  const status = await statusOf(copy, path);
  if (status === undefined) return false;
  const { isDirectory } = status;
  const { directory, base } = planCopy({ path, isDirectory, rename }, findDestination(destination));
  return copyDirectly(copy, { Direction: "out", Path: path, HostPath: directory, Base: base });
}

/**
 * Has the engine copy by itself, which it does for root on its own host: without an archive between two processes. False, with
 * nothing done, where it does not. An archive that is to be counted goes the long way.
 */
async function copyDirectly(copy: Copy, body: Record<string, string | boolean>): Promise<boolean> {
  if (!copy.isQuiet) return false;
  const path = `/tiffin${apiPath("containers", copy.container, "copy")}`;
  try {
    const answer = await copy.context.api.json("POST", path, { body });
    return (answer as { Copied?: unknown } | undefined)?.Copied === true;
  } catch (error) {
    if (isMissingRoute(error)) return false;
    throw error;
  }
}

/** An engine that does not know the route. */
function isMissingRoute(error: unknown): boolean {
  return isTiffinError(error, "not-found") && /page not found/.test(error.message);
}

/** The path that a link in the container leads to, when it is one. */
async function followedSource(copy: Copy): Promise<{ path: string; rename: string }> {
  const status = await statusOf(copy, copy.source);
  if (status?.isLink !== true) return { path: copy.source, rename: "" };
  return followedPath(copy.source, absoluteTarget(copy.source, status.linkTarget));
}

function absoluteTarget(path: string, target: string): string {
  return target.startsWith("/") ? target : posix.join(splitEntry(path).directory, target);
}

async function copyTo(copy: Copy, asContainerUser: boolean): Promise<void> {
  const { context, container } = copy;
  const isInput = copy.source === "-";
  const destination = await containerDestination(copy);
  if (isInput && !destination.isDirectory) {
    throw failure(`destination "${container}:${copy.destination}" must be a directory`);
  }
  const source = isInput ? undefined : sourcePlan(copy, destination);
  if (source !== undefined) {
    const direct = {
      Direction: "in",
      Path: source.directory,
      HostPath: source.path,
      Base: source.base,
      NoOverwriteDirNonDir: true,
      CopyUIDGID: asContainerUser,
    };
    if (await copyDirectly(copy, direct)) return;
  }
  const progress = new CopyProgress(context, "to", copy.isQuiet);
  const directory = source?.directory ?? destination.path;
  const stream = source === undefined ? standardInput() : await sourceArchive(source);
  await context.api.run("PUT", archivePath(copy), {
    query: {
      path: directory,
      noOverwriteDirNonDir: true,
      ...(asContainerUser ? { copyUIDGID: true } : {}),
    },
    stream: progress.count(stream),
  });
  await progress.finish(`${container}:${destination.path}`);
}

interface SourcePlan {
  readonly path: string;
  /** In the container. */
  readonly directory: string;
  readonly base: string;
}

function sourcePlan(copy: Copy, destination: CopyDestination): SourcePlan {
  const source = findSource(absolutePath(copy.source), copy.followLink);
  return { path: source.path.replace(/(.)\/\.?$/, "$1"), ...planCopy(source, destination) };
}

async function sourceArchive({ path, base }: SourcePlan): Promise<AsyncIterable<Uint8Array>> {
  const { archiveHostPath } = await import("../../host-archive.ts");
  return archiveHostPath(path, base);
}

async function containerDestination(copy: Copy): Promise<CopyDestination> {
  let path = copy.destination;
  let status = await statusOf(copy, path);
  if (status?.isLink === true) {
    path = absoluteTarget(path, status.linkTarget);
    status = await statusOf(copy, path);
  }
  if (status === undefined) return { path, exists: false, isDirectory: false };
  if (status.isOther) {
    throw failure(
      `destination "${copy.container}:${copy.destination}" must be a directory or a regular file`,
    );
  }
  return { path, exists: true, isDirectory: status.isDirectory };
}
