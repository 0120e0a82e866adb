import { isMountPoint, mountPaths } from "../kernel/mount.ts";
import type { EngineContext } from "./context.ts";
import { discardStray } from "./create-volume.ts";
import type { Finding } from "./engine.ts";
import { unmountUnused } from "./mount-volumes.ts";
import { timestamp } from "./timestamp.ts";
import { holdVolume } from "./volume-users.ts";

/**
 * Volumes against their directories and mounts. Repairing loses no data: a directory with something in it and no record
 * becomes a volume again, an empty one goes.
 */
export async function checkVolumes(context: EngineContext, repair: boolean): Promise<Finding[]> {
  const { volumes } = context;
  const findings: Finding[] = [];
  const add = (what: string, problem: string, repaired: boolean): void => {
    findings.push({ kind: "volume", what, problem, repaired });
  };
  for (const name of volumes.strays()) {
    const repaired = repair && (await adopt(context, name));
    add(volumes.path(name), "no volume has this directory", repaired);
  }
  for (const name of volumes.broken()) add(name, "its directory is missing", false);
  for (const { name, options } of volumes.all()) {
    if (Object.keys(options).length === 0) continue;
    const isMounted = isMountPoint(volumes.dataPath(name));
    const isUsed = context.volumeUse.isUsed(name);
    if (isMounted && !isUsed) {
      const repaired = repair && (await unmountUnused(context, name));
      add(name, "it is mounted and no running container has it", repaired);
    }
    if (!isMounted && isUsed) add(name, "a running container has it and it is not mounted", false);
  }
  return findings;
}

async function adopt(context: EngineContext, name: string): Promise<boolean> {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return false;
  return holdVolume(context, name, () => {
    if (context.volumes.withName(name) || discardStray(context, name)) return true;
    context.volumes.make({ name, createdAt: timestamp(), labels: {}, options: {}, maker: "" });
    return true;
  });
}

/** Paths at which the engine itself mounts volumes with options. */
export function ownMounts({ volumes }: EngineContext): string[] {
  const places = volumes
    .all()
    .filter(({ options }) => Object.keys(options).length > 0)
    .map(({ name }) => volumes.dataPath(name));
  return mountPaths().filter((path) =>
    places.some((place) => path === place || path.startsWith(`${place}/`)),
  );
}
