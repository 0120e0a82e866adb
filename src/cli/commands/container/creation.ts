import { existsSync, writeFileSync } from "node:fs";
import { isTiffinError, messageOf } from "../../../base/error.ts";
import {
  familiarReference,
  isImageId,
  parseReference,
  withDefaultTag,
} from "../../../base/reference.ts";
import type { Context } from "../../command.ts";
import type { Arguments } from "../../grammar.ts";
import {
  CONTAINER_FLAGS,
  type CreateBody,
  createBody,
} from "../../container-options/create-body.ts";
import { failure, wrongUse } from "../../failure.ts";
import { openError } from "../../file-error.ts";
import { type Flag, text, toggle } from "../../flag.ts";
import { terminalSize } from "../../terminal.ts";

const FLAGS = {
  name: text("name", "Assign a name to the container"),
  platform: text("platform", "Set platform if server is multi-platform capable"),
  pull: text("pull", 'Pull image before running ("always", "missing", "never")', {
    initial: "missing",
  }),
  quiet: toggle("quiet", "Suppress the pull output", { short: "q" }),
  disableContentTrust: toggle("disable-content-trust", "Skip image verification", {
    initial: true,
    hidden: true,
  }),
} as const;

/** What `run` and `create` have in common: the container's options, and how it is found and named. */
export const CREATION_FLAGS: readonly Flag[] = [
  ...CONTAINER_FLAGS,
  ...Object.values(FLAGS),
] as readonly Flag[];

export interface Wanted {
  readonly name: string;
  readonly platform: string;
  /** When the image is pulled: "always", "missing" or "never". */
  readonly pull: string;
  /** The pull says nothing. */
  readonly quiet: boolean;
  readonly body: CreateBody;
}

/** Reads the command line. @throws with status 125, in docker's words */
export function readWanted(context: Context, verb: "run" | "create"): Wanted {
  const given = context.arguments;
  const pull = given.get(FLAGS.pull);
  let body: CreateBody;
  try {
    if (!["always", "missing", "never", ""].includes(pull)) {
      throw new Error(
        `invalid pull option: '${pull}': must be one of "always", "missing" or "never"`,
      );
    }
    body = createBody(given);
  } catch (error) {
    throw wrongUse(verb, messageOf(error));
  }
  try {
    if (!isImageId(body.Image)) parseReference(body.Image);
  } catch (error) {
    // `create` lets the name's error stand alone, `run` says where to read more.
    throw verb === "run" ? wrongUse(verb, messageOf(error)) : failure(messageOf(error));
  }
  return {
    name: given.get(FLAGS.name),
    platform: given.get(FLAGS.platform),
    pull: pull || "missing",
    quiet: given.get(FLAGS.quiet),
    body,
  };
}

/** A pull needs the caller's credentials and terminal: one that is sure to come is not for the engine's process. */
export function mayRunInEngine(given: Arguments): boolean {
  return given.get(FLAGS.pull) !== "always";
}

/** Does what needs the image; pulls the image before when it is missing or always wanted anew. @throws what `work` and the pull throw */
export async function withImage<Result>(
  context: Context,
  wanted: Wanted,
  work: () => Promise<Result>,
): Promise<Result> {
  if (wanted.pull === "always") await pullWanted(context, wanted);
  try {
    return await work();
  } catch (error) {
    const isById = isImageId(wanted.body.Image);
    if (wanted.pull !== "missing" || isById || !isImageMissing(error)) throw error;
    // Nothing has been done yet.
    context.world.leaveToCaller?.();
    const name = familiarReference(withDefaultTag(parseReference(wanted.body.Image)));
    if (!wanted.quiet) await context.warn(`Unable to find image '${name}' locally`);
    await pullWanted(context, wanted);
    return await work();
  }
}

function isImageMissing(error: unknown): boolean {
  // Docker's words for a missing image, and for one of another platform.
  return (
    isTiffinError(error, "not-found") &&
    /No such image|image with reference .* was found/.test(error.message)
  );
}

async function pullWanted(context: Context, { body, platform, quiet }: Wanted): Promise<void> {
  const { pull } = await import("../image/pull.ts");
  const reference = withDefaultTag(parseReference(body.Image));
  await pull(context, reference, { platform, quiet, toError: true });
}

/** Creates the container; resolves to its ID. */
export async function createContainer(context: Context, wanted: Wanted): Promise<string> {
  const cidFile = wanted.body.HostConfig["ContainerIDFile"] as string;
  if (cidFile !== "" && existsSync(cidFile)) {
    const words = "container ID file found, make sure the other container isn't running or delete";
    throw failure(`tiffin: ${words} ${cidFile}`);
  }
  const created = (await requestContainer(context, wanted)) as { Id: string; Warnings?: string[] };
  for (const warning of created.Warnings ?? []) await context.warn(`WARNING: ${warning}`);
  if (cidFile !== "") writeIdFile(cidFile, created.Id);
  return created.Id;
}

async function requestContainer(context: Context, wanted: Wanted): Promise<unknown> {
  const query = {
    ...(wanted.name === "" ? {} : { name: wanted.name }),
    ...(wanted.platform === "" ? {} : { platform: wanted.platform }),
  };
  const body = await withConsoleSize(context, wanted.body);
  return withImage(context, wanted, () =>
    context.api.json("POST", "/containers/create", { query, body }),
  );
}

/** A terminal that has its size from the start shows no first screen in the wrong one. */
export async function withConsoleSize(context: Context, body: CreateBody): Promise<CreateBody> {
  const size = body.Tty ? await terminalSize(context.world) : undefined;
  if (size === undefined) return body;
  return { ...body, HostConfig: { ...body.HostConfig, ConsoleSize: [size.rows, size.columns] } };
}

function writeIdFile(file: string, id: string): void {
  try {
    writeFileSync(file, id);
  } catch (error) {
    const reason = messageOf(openError(file, error));
    throw failure(`tiffin: failed to create the container ID file: ${reason}`);
  }
}
