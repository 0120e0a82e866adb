import { mkdirSync } from "node:fs";
import { faultPoint } from "../base/fault-point.ts";
import { isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { closeDescriptor, openat2, renameat2 } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import { syscallOnThread } from "../kernel/blocking.ts";
import { copyTree, type SourceDirectory } from "../volumes/index.ts";
import type { EngineContext } from "./context.ts";
import { discardDirectory } from "./discard-directory.ts";

/**
 * Fills an empty volume with a directory of an image: content, owner and mode, as docker does at the first use. It is copied
 * beside the volume and moved there when it is whole, so that a cut leaves nothing; only where that cannot be (a running
 * container has the empty directory open, or a file system is mounted there) it is copied in place. The volume's lock is held.
 * @param lasting the content must outlive a power cut
 */
export async function fillVolume(
  context: EngineContext,
  name: string,
  source: { directory: SourceDirectory; lasting: boolean },
): Promise<void> {
  const hasOptions = Object.keys(context.volumes.find(name).options).length > 0;
  try {
    if (hasOptions || context.volumeUse.isUsed(name)) {
      await copyInto(context.volumes.dataPath(name), source);
    } else {
      await replaceEmpty(context, name, source);
    }
  } catch (error) {
    discardDirectory(context.places, context.volumes.fillingPath(name));
    throw fillError(name, error);
  }
}

async function replaceEmpty(
  context: EngineContext,
  name: string,
  source: { directory: SourceDirectory; lasting: boolean },
): Promise<void> {
  const filling = context.volumes.fillingPath(name);
  discardDirectory(context.places, filling);
  mkdirSync(filling, { mode: 0o700 });
  await copyInto(filling, source);
  faultPoint("volume:filling");
  renameat2([AT.FDCWD, filling], [AT.FDCWD, context.volumes.dataPath(name)]);
  faultPoint("volume:filled");
}

async function copyInto(
  path: string,
  { directory, lasting }: { directory: SourceDirectory; lasting: boolean },
): Promise<void> {
  const target = openat2(AT.FDCWD, path, { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW });
  try {
    const { entries } = await copyTree(directory, target);
    // An empty directory is made again by the next use; files that a power cut empties are not.
    if (lasting && entries > 0) await syscallOnThread("syncfs", target);
  } finally {
    closeDescriptor(target);
  }
}

function fillError(name: string, error: unknown): TiffinError {
  return new TiffinError(
    isTiffinError(error) ? error.code : "internal",
    `Cannot fill volume "${name}" from the image: ${messageOf(error)}`,
    {
      cause: error,
      hint: "Leave it empty: -v NAME:PATH:nocopy, or --mount …,volume-nocopy",
    },
  );
}
