import { humanSize } from "../../../base/size.ts";
import type { Listing, Row } from "../../listing.ts";

/** A volume as GET /volumes and GET /system/df give it. */
export interface VolumeSummary {
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  /** In `system df` alone. */
  readonly UsageData?: { readonly RefCount: number; readonly Size: number } | null;
}

export const VOLUME_LISTING: Listing = {
  headers: {
    ID: "ID",
    Name: "VOLUME NAME",
    Group: "GROUP",
    Driver: "DRIVER",
    Scope: "SCOPE",
    Availability: "AVAILABILITY",
    Mountpoint: "MOUNTPOINT",
    Labels: "LABELS",
    Links: "LINKS",
    Size: "SIZE",
    Status: "STATUS",
  },
  columns: ["Driver", "Name"],
  raw: [
    ["name", "Name"],
    ["driver", "Driver"],
  ],
};

const NOT_KNOWN = "N/A";

/** What a row shows of a volume: docker's fields. Those of cluster volumes are there and say nothing. */
export function volumeRow(volume: VolumeSummary): Row {
  const labels = volume.Labels ?? {};
  const { UsageData: usage } = volume;
  return {
    Availability: () => NOT_KNOWN,
    Driver: () => volume.Driver,
    Group: () => NOT_KNOWN,
    Label: (name) => labels[String(name)] ?? "",
    Labels: () =>
      Object.keys(labels)
        .toSorted()
        .map((key) => `${key}=${labels[key]}`)
        .join(","),
    Links: () => (usage ? String(usage.RefCount) : NOT_KNOWN),
    Mountpoint: () => volume.Mountpoint,
    Name: () => volume.Name,
    Scope: () => volume.Scope,
    Size: () => (usage ? humanSize(usage.Size) : NOT_KNOWN),
    Status: () => NOT_KNOWN,
  };
}
