import { TiffinError } from "../base/error.ts";
import type { EngineContext } from "./context.ts";
import type { ContainerSpec, MountPoint } from "./types.ts";

/** The volumes among a container's mounts. */
export function volumePoints({ mountPoints }: ContainerSpec): MountPoint[] {
  return mountPoints.filter(({ type }) => type === "volume");
}

/** Names of a container's volumes, each once. */
export function volumeNames(spec: ContainerSpec): string[] {
  return [...new Set(volumePoints(spec).map(({ source }) => source))];
}

/** IDs of the containers that have a volume, and of those that are being made with it. */
export function volumeUsers(context: EngineContext, name: string): string[] {
  const recorded = context.containers
    .all()
    .filter(({ spec }) => volumePoints(spec).some(({ source }) => source === name))
    .map(({ id }) => id);
  return [...new Set([...recorded, ...context.volumeUse.makersOf(name)])];
}

/** @throws conflict in docker's words when a container has the volume */
export function refuseUsed(context: EngineContext, name: string): void {
  const users = volumeUsers(context, name);
  if (users.length === 0) return;
  throw new TiffinError("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
    hint: `Remove its containers first: tiffin ps -a --filter volume=${name}`,
  });
}

/** Verbs that change a volume hold this, one volume at a time. */
export function holdVolume<Result>(
  context: EngineContext,
  name: string,
  work: () => Promise<Result> | Result,
): Promise<Result> {
  return context.lock.hold(`volume:${name}`, work);
}

export function emitVolumeEvent(
  context: EngineContext,
  name: string,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  context.events.emit({
    type: "volume",
    action,
    actorId: name,
    attributes: { driver: "local", ...attributes },
  });
}
