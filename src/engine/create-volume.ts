import { randomBytes } from "node:crypto";
import { explainExhaustion } from "../base/exhaustion.ts";
import {
  ANONYMOUS_LABEL,
  checkVolumeName,
  validateDriverOptions,
  type Volume,
} from "../volumes/index.ts";
import type { EngineContext } from "./context.ts";
import { discardDirectory } from "./discard-directory.ts";
import { checkDriver } from "./plan-mount-points.ts";
import { timestamp } from "./timestamp.ts";
import { emitVolumeEvent, holdVolume } from "./volume-users.ts";
import type { VolumeCreation } from "./volume-verbs.ts";

/**
 * Makes a volume; one of that name that is there already is the answer, as in docker. Without a name it is anonymous.
 * @throws invalid-argument (name, driver, options); resource-exhausted
 */
export function createVolume(context: EngineContext, request: VolumeCreation): Promise<Volume> {
  const isAnonymous = request.name === "";
  const name = isAnonymous ? randomBytes(32).toString("hex") : request.name;
  checkVolumeName(name);
  checkDriver(name, request.driver);
  const labels = isAnonymous ? { ...request.labels, [ANONYMOUS_LABEL]: "" } : request.labels;
  return holdVolume(context, name, () => {
    // Somebody asked for it by name: it no longer goes with the container that it was made for.
    const known = context.volumes.withName(name);
    if (known?.maker) context.volumes.setMaker([name], "");
    return known ?? makeVolume(context, { ...request, name, labels, maker: "" });
  });
}

/** Makes a volume that is not there. Nothing of it is left when this fails. The volume's lock is held. */
export function makeVolume(
  context: EngineContext,
  volume: Pick<Volume, "name" | "labels" | "options" | "maker">,
): Volume {
  const { name, labels, options, maker } = volume;
  checkVolumeName(name);
  validateDriverOptions(name, options);
  let made: Volume;
  try {
    made = context.volumes.make({ name, createdAt: timestamp(), labels, options, maker });
  } catch (error) {
    discardStray(context, name);
    throw explainExhaustion(error, `create volume "${name}"`);
  }
  emitVolumeEvent(context, name, "create");
  return made;
}

/** Takes a directory without a record away, unless there is something in it. False: there is. */
export function discardStray(context: EngineContext, name: string): boolean {
  if (!context.volumes.isEmpty(name)) return false;
  discardDirectory(context.places, context.volumes.path(name));
  return true;
}
