import { humanSize } from "../base/size.ts";
import type { Context } from "./command.ts";
import { filterFlag, filtersQuery } from "./filter.ts";
import { type Flag, toggle } from "./flag.ts";
import { layOut } from "./table.ts";

/** The flags that every prune has. */
export const force: Flag<boolean> = toggle("force", "Do not prompt for confirmation", {
  short: "f",
});
export const dryRun: Flag<boolean> = toggle(
  "dry-run",
  "Only show what would be removed, and how much space that would give back",
);

export function pruneFilter(example: string): Flag<readonly string[]> {
  return filterFlag(`Provide filter values (e.g. "${example}")`, {});
}

/** What a prune has removed: what it prints of it, and the bytes. */
export interface Removed {
  readonly text: string;
  readonly bytes: number;
}

export async function removeContainers(
  context: Context,
  filters: readonly string[],
): Promise<Removed> {
  const { ContainersDeleted: ids, SpaceReclaimed: bytes } = (await context.api.json(
    "POST",
    "/containers/prune",
    { query: filtersQuery(filters) },
  )) as { ContainersDeleted: string[] | null; SpaceReclaimed: number };
  return { text: listed("Deleted Containers:", ids ?? []), bytes };
}

export async function removeImages(context: Context, filters: readonly string[]): Promise<Removed> {
  const { ImagesDeleted: images, SpaceReclaimed: bytes } = (await context.api.json(
    "POST",
    "/images/prune",
    { query: filtersQuery(filters) },
  )) as {
    ImagesDeleted: { Untagged?: string; Deleted?: string }[] | null;
    SpaceReclaimed: number;
  };
  const lines = (images ?? []).map(({ Untagged, Deleted }) =>
    Untagged === undefined ? `deleted: ${Deleted}` : `untagged: ${Untagged}`,
  );
  return { text: listed("Deleted Images:", lines), bytes };
}

/** A heading and lines, each with its end; nothing when there are none. */
export function listed(heading: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : [heading, ...lines].map((line) => `${line}\n`).join("");
}

/** Prints what was removed and the space that it gave back, as docker does. */
export async function showRemoved(context: Context, removed: readonly Removed[]): Promise<void> {
  for (const { text } of removed) if (text !== "") await context.print(text);
  const bytes = removed.reduce((sum, one) => sum + one.bytes, 0);
  await context.print(`Total reclaimed space: ${humanSize(bytes)}`);
}

/** What a prune would remove: a line of the table each, and the bytes in all. */
export interface Candidates {
  readonly kind: string;
  readonly items: readonly { readonly Id: string; readonly Name: string; readonly Size: number }[];
  readonly bytes: number;
}

interface PruneAnswer {
  readonly Items: Candidates["items"];
  readonly SpaceReclaimed: number;
}

export async function containerCandidates(
  context: Context,
  filters: readonly string[],
): Promise<Candidates> {
  const query = filtersQuery(filters);
  const answer = (await context.api.json("GET", "/tiffin/containers/prune", {
    query,
  })) as PruneAnswer;
  return { kind: "container", items: answer.Items, bytes: answer.SpaceReclaimed };
}

/** `without`: containers that would have gone before. */
export async function imageCandidates(
  context: Context,
  filters: readonly string[],
  without: Candidates["items"] = [],
): Promise<Candidates> {
  const query = { ...filtersQuery(filters), without: without.map(({ Id }) => Id) };
  const answer = (await context.api.json("GET", "/tiffin/images/prune", { query })) as PruneAnswer;
  return { kind: "image", items: answer.Items, bytes: answer.SpaceReclaimed };
}

export async function showCandidates(context: Context, all: readonly Candidates[]): Promise<void> {
  const rows = all.flatMap(({ kind, items }) =>
    items.map(({ Id: id, Name: name, Size: size }) =>
      [kind, id.replace(/^sha256:/, "").slice(0, 12), name, humanSize(size)].join("\t"),
    ),
  );
  if (rows.length > 0) await context.print(layOut(["KIND\tID\tNAME\tSIZE", ...rows].join("\n")));
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  await context.print(`Total space that would be reclaimed: ${humanSize(bytes)}`);
}
