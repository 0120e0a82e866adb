import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mountPaths } from "../kernel/mount.ts";
import { checkVolumes, ownMounts } from "./check-volumes.ts";
import {
  containerDirectories,
  containersDirectory,
  runDirectory,
} from "./container-directories.ts";
import type { EngineContext } from "./context.ts";
import { discardDirectory } from "./discard-directory.ts";
import type { Finding } from "./engine.ts";
import { checkNetworks } from "./networks/check-networks.ts";
import { isRunning } from "./stop-container.ts";

/**
 * Holds what is on the host against what should be: every resource carries its container's ID in its name. `repair` removes what
 * has no owner; what an owner lacks is only told.
 */
export async function systemCheck(
  context: EngineContext,
  options: { repair: boolean },
): Promise<Finding[]> {
  return [
    ...(await checkCgroups(context, options.repair)),
    ...checkRunDirectories(context, options.repair),
    ...checkContainerDirectories(context, options.repair),
    ...(await checkVolumes(context, options.repair)),
    ...checkNetworks(context, options.repair),
    ...checkMounts(context),
    ...(await checkImages(context, options.repair)),
  ];
}

async function checkCgroups(context: EngineContext, repair: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const ready = new Set(context.ready.ids);
  for (const id of context.cgroups.list()) {
    if (ready.has(id)) continue;
    const container = context.containers.withId(id);
    if (container && (isRunning(container) || container.phase !== "settled")) continue;
    if (repair) {
      await context.cgroups.end(id);
    }
    findings.push({
      kind: "cgroup",
      what: id,
      problem: "no running container has this cgroup",
      repaired: repair,
    });
  }
  return findings;
}

function checkRunDirectories(context: EngineContext, repair: boolean): Finding[] {
  const { places, containers, execs, processes } = context;
  const running = containers.all().filter((container) => isRunning(container));
  const owners = new Set(
    [...running, ...execs.all().filter(({ running: runs }) => runs)].map(({ id }) => id),
  );
  const strays = entries(join(places.run, "processes")).filter(
    (id) => !owners.has(id) && !processes.has(id),
  );
  const missing = running.filter(({ id }) => !existsSync(containerDirectories(places, id).run));
  return [
    ...strays.map((id): Finding => {
      if (repair) rmSync(runDirectory(places, id), { recursive: true, force: true });
      return {
        kind: "directory",
        what: runDirectory(places, id),
        problem: "no process has this run directory",
        repaired: repair,
      };
    }),
    ...missing.map(
      ({ id, name }): Finding => ({
        kind: "socket",
        what: name,
        problem: `the run directory of running container ${id.slice(0, 12)} is missing`,
        repaired: false,
      }),
    ),
  ];
}

function checkContainerDirectories(context: EngineContext, repair: boolean): Finding[] {
  const { places, containers } = context;
  const directory = containersDirectory(places);
  const strays = entries(directory).filter((id) => !containers.withId(id));
  const broken = containers
    .all()
    .filter(({ id }) => !existsSync(containerDirectories(places, id).writable));
  return [
    ...strays.map((id): Finding => {
      if (repair) discardDirectory(places, join(directory, id));
      return {
        kind: "directory",
        what: join(directory, id),
        problem: "no container has this directory",
        repaired: repair,
      };
    }),
    ...broken.map(
      ({ name }): Finding => ({
        kind: "container",
        what: name,
        problem: "its writable layer is missing",
        repaired: false,
      }),
    ),
  ];
}

/** The engine mounts volumes with options in the host's tree; what else is mounted below its directories came from elsewhere. */
function checkMounts(context: EngineContext): Finding[] {
  const { places } = context;
  const own = new Set(ownMounts(context));
  return mountPaths()
    .filter((path) => [places.root, places.run].some((place) => path.startsWith(`${place}/`)))
    .filter((path) => !own.has(path))
    .map((path) => ({
      kind: "mount",
      what: path,
      problem: "something is mounted below the engine's directories",
      repaired: false,
    }));
}

async function checkImages({ images }: EngineContext, repair: boolean): Promise<Finding[]> {
  const { missing, unowned } = images.check();
  if (repair && unowned.length > 0) await images.collectGarbage();
  const remaining = repair ? new Set(images.check().unowned) : new Set(unowned);
  return [
    ...missing.map(
      (what): Finding => ({
        kind: "blob",
        what,
        problem: "an image needs it and it is missing",
        repaired: false,
      }),
    ),
    ...unowned.map(
      (what): Finding => ({
        kind: "layer",
        what,
        problem: "no image needs it",
        repaired: repair && !remaining.has(what),
      }),
    ),
  ];
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
