import type { Command, Context } from "../../command.ts";
import { confirm } from "../../confirm.ts";
import { failure } from "../../failure.ts";
import { filtersQuery } from "../../filter.ts";
import { toggle } from "../../flag.ts";
import {
  type Candidates,
  containerCandidates,
  dryRun,
  force,
  imageCandidates,
  listed,
  pruneFilter,
  type Removed,
  removeContainers,
  removeImages,
  showCandidates,
  showRemoved,
} from "../../prune.ts";

const all = toggle("all", "Remove all unused images not just dangling ones", { short: "a" });
const filter = pruneFilter("label=<key>=<value>");
const volumes = toggle("volumes", "Prune anonymous volumes");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove unused data",
  examples: `# What would go
tiffin system prune --dry-run
# All that no container needs, anonymous volumes too, without asking
tiffin system prune -af --volumes`,
  flags: [all, dryRun, filter, force, volumes],
  operands: { exactly: 0 },
  inEngine: (given) => given.get(force) || given.get(dryRun),
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const filters = given.get(filter);
  if (given.get(volumes) && filters.some((one) => one.startsWith("until="))) {
    throw failure('ERROR: The "until" filter is not supported with "--volumes"');
  }
  const imageFilters = [...filters, `dangling=${!given.get(all)}`];
  if (given.get(dryRun)) {
    const containers = await containerCandidates(context, filters);
    await showCandidates(context, [
      containers,
      ...(given.get(volumes) ? [await volumeCandidates(context, filters)] : []),
      await imageCandidates(context, imageFilters, containers.items),
    ]);
    return 0;
  }
  if (!given.get(force) && !(await confirm(context, question(context, filters)))) return 0;
  // What containers hold on to is free once they are gone.
  const removed: Removed[] = [
    await removeContainers(context, filters),
    await removeNetworks(context, filters),
  ];
  if (given.get(volumes)) removed.push(await removeVolumes(context, filters));
  removed.push(await removeImages(context, imageFilters));
  removed.push(await removeBuildCache(context));
  await showRemoved(context, removed);
  return 0;
}

function question({ arguments: given }: Context, filters: readonly string[]): string {
  const isAll = given.get(all);
  const kinds = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(given.get(volumes) ? ["all anonymous volumes not used by at least one container"] : []),
    isAll ? "all images without at least one container associated to them" : "all dangling images",
    isAll ? "all build cache" : "unused build cache",
  ];
  const shown = filters.toSorted().map((one) => `\n  - ${one}`);
  const confined =
    shown.length === 0 ? "" : `\n  Items to be pruned will be filtered with:${shown.join("")}\n`;
  return `WARNING! This will remove:${kinds.map((kind) => `\n  - ${kind}`).join("")}\n${confined}\nAre you sure you want to continue?`;
}

async function removeNetworks(context: Context, filters: readonly string[]): Promise<Removed> {
  const { NetworksDeleted: names } = (await context.api.json("POST", "/networks/prune", {
    query: filtersQuery(filters),
  })) as { NetworksDeleted: string[] | null };
  return { text: listed("Deleted Networks:", names ?? []), bytes: 0 };
}

async function removeVolumes(context: Context, filters: readonly string[]): Promise<Removed> {
  const { VolumesDeleted: names, SpaceReclaimed: bytes } = (await context.api.json(
    "POST",
    "/volumes/prune",
    { query: filtersQuery(filters) },
  )) as { VolumesDeleted: string[] | null; SpaceReclaimed: number };
  return { text: listed("Deleted Volumes:", names ?? []), bytes };
}

async function removeBuildCache(context: Context): Promise<Removed> {
  const { CachesDeleted: ids, SpaceReclaimed: bytes } = (await context.api.json(
    "POST",
    "/build/prune",
  )) as { CachesDeleted: string[] | null; SpaceReclaimed: number };
  return { text: listed("Deleted build cache objects:", ids ?? []), bytes };
}

interface Volume {
  readonly Name: string;
  readonly UsageData?: { readonly Size: number } | null;
}

/** Those without a name that no container has now. */
async function volumeCandidates(context: Context, filters: readonly string[]): Promise<Candidates> {
  const { VolumesDeleted: names, SpaceReclaimed: bytes } = (await context.api.json(
    "GET",
    "/tiffin/volumes/prune",
    { query: filtersQuery(filters) },
  )) as { VolumesDeleted: string[] | null; SpaceReclaimed: number };
  const { Volumes: known } = (await context.api.json("GET", "/system/df", {
    query: { type: "volume" },
  })) as { Volumes: Volume[] | null };
  const sizes = new Map((known ?? []).map(({ Name, UsageData }) => [Name, UsageData?.Size ?? 0]));
  const items = (names ?? []).map((Id) => ({ Id, Name: "", Size: sizes.get(Id) ?? 0 }));
  return { kind: "volume", items, bytes };
}
