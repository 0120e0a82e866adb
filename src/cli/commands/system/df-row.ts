import { humanSize } from "../../../base/size.ts";
import type { Listing, Row } from "../../listing.ts";
import type { ContainerSummary } from "../container/container-row.ts";
import type { ImageSummary } from "../image/image-row.ts";
import type { VolumeSummary } from "../volume/volume-row.ts";

export interface CacheUsage {
  readonly ID: string;
  readonly Type: string;
  readonly Size: number;
  readonly InUse: boolean;
  readonly Shared: boolean;
  readonly UsageCount: number;
}

/** The answer of GET /system/df. */
export interface DiskUsage {
  readonly LayersSize: number;
  /** Ours: bytes beside the unpacked layers. */
  readonly TiffinBlobs?: { readonly Stored: number; readonly Unfinished: number };
  readonly Images: readonly ImageSummary[] | null;
  readonly Containers: readonly ContainerSummary[] | null;
  readonly Volumes: readonly VolumeSummary[] | null;
  readonly BuildCache: readonly CacheUsage[] | null;
}

export const USAGE_LISTING: Listing = {
  headers: {
    Type: "TYPE",
    TotalCount: "TOTAL",
    Active: "ACTIVE",
    Size: "SIZE",
    Reclaimable: "RECLAIMABLE",
  },
  columns: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
  raw: [
    ["type", "Type"],
    ["total", "TotalCount"],
    ["active", "Active"],
    ["size", "Size"],
    ["reclaimable", "Reclaimable"],
  ],
};

export const CACHE_LISTING: Listing = {
  headers: {
    ID: "CACHE ID",
    CacheType: "CACHE TYPE",
    Size: "SIZE",
    CreatedSince: "CREATED",
    LastUsedSince: "LAST USED",
    UsageCount: "USAGE",
    Shared: "SHARED",
  },
  columns: ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"],
  raw: [],
};

interface Sum {
  readonly count: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
}

/** One line for each kind of thing. */
export function usageRows(usage: DiskUsage): Row[] {
  const cache = usage.BuildCache ?? [];
  return [
    usageRow("Images", images(usage)),
    usageRow("Containers", containers(usage.Containers ?? [])),
    usageRow("Local Volumes", volumes(usage.Volumes ?? [])),
    {
      ...usageRow("Build Cache", buildCache(cache)),
      Reclaimable: () => humanSize(buildCache(cache).reclaimable),
    },
  ];
}

function usageRow(type: string, { count, active, bytes, reclaimable }: Sum): Row {
  const percent = bytes > 0 ? ` (${Math.trunc((reclaimable * 100) / bytes)}%)` : "";
  return {
    Active: () => String(active),
    Reclaimable: () => humanSize(reclaimable) + percent,
    Size: () => humanSize(bytes),
    TotalCount: () => String(count),
    Type: () => type,
  };
}

/** What the images that containers use have alone is kept; all else could go. */
function images({ Images: all, LayersSize: bytes }: DiskUsage): Sum {
  const used = (all ?? []).filter(({ Containers }) => Containers > 0);
  const kept = used.reduce((sum, { Size, SharedSize }) => sum + Size - SharedSize, 0);
  return { count: all?.length ?? 0, active: used.length, bytes, reclaimable: bytes - kept };
}

const ACTIVE = new Set(["running", "paused", "restarting"]);

function containers(all: readonly ContainerSummary[]): Sum {
  const isActive = ({ State }: ContainerSummary): boolean => ACTIVE.has(State);
  const bytes = (some: readonly ContainerSummary[]): number =>
    some.reduce((sum, { SizeRw = 0 }) => sum + SizeRw, 0);
  return {
    count: all.length,
    active: all.filter(isActive).length,
    bytes: bytes(all),
    reclaimable: bytes(all.filter((container) => !isActive(container))),
  };
}

/** -1 is a size that is not known. */
function volumes(all: readonly VolumeSummary[]): Sum {
  const known = all.filter(({ UsageData }) => (UsageData?.Size ?? -1) !== -1);
  const bytes = (some: readonly VolumeSummary[]): number =>
    some.reduce((sum, { UsageData }) => sum + (UsageData?.Size ?? 0), 0);
  return {
    count: all.length,
    active: all.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) > 0).length,
    bytes: bytes(known),
    reclaimable: bytes(known.filter(({ UsageData }) => UsageData?.RefCount === 0)),
  };
}

function buildCache(all: readonly CacheUsage[]): Sum {
  const bytes = (some: readonly CacheUsage[]): number =>
    some.reduce((sum, { Size }) => sum + Size, 0);
  const inUse = all.filter(({ InUse }) => InUse);
  const total = bytes(all.filter(({ Shared }) => !Shared));
  const kept = bytes(inUse.filter(({ Shared }) => !Shared));
  return { count: all.length, active: inUse.length, bytes: total, reclaimable: total - kept };
}

export function cacheRow(cache: CacheUsage, truncate: boolean): Row {
  return {
    CacheType: () => cache.Type,
    ID: () => (truncate ? cache.ID.slice(0, 12) : cache.ID),
    Shared: () => String(cache.Shared),
    Size: () => humanSize(cache.Size, 3),
    UsageCount: () => String(cache.UsageCount),
  };
}
