import type { Image } from "./image-store.ts";

/** One step of how an image was made, in the shape of docker's `GET /images/{name}/history`. */
export interface HistoryEntry {
  /** The image's id for the newest step, else `<missing>`. */
  readonly Id: string;
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  /** Bytes that the step's layer added. */
  readonly Size: number;
  readonly Comment: string;
}

/** The steps of an image, newest first. `layerSizes`: bytes of its layers, lowest first. */
export function imageHistory(image: Image, layerSizes: readonly number[]): HistoryEntry[] {
  let layer = 0;
  const entries = (image.config.history ?? []).map((step): HistoryEntry => {
    const isEmpty = step.empty_layer === true;
    const Size = isEmpty ? 0 : (layerSizes[layer] ?? 0);
    if (!isEmpty) layer += 1;
    return {
      Id: "<missing>",
      Created: secondsOf(step.created),
      CreatedBy: step.created_by ?? "",
      Tags: null,
      Size,
      Comment: step.comment ?? "",
    };
  });
  // Images without a history, or with a shorter one than their layers, show the rest of the layers.
  for (; layer < layerSizes.length; layer += 1) {
    entries.push({
      Id: "<missing>",
      Created: secondsOf(image.config.created),
      CreatedBy: "",
      Tags: null,
      Size: layerSizes[layer] ?? 0,
      Comment: "",
    });
  }
  const [newest, ...older] = entries.reverse();
  if (newest === undefined) return [];
  const Tags = image.repoTags.length === 0 ? null : image.repoTags;
  return [{ ...newest, Id: image.id, Tags }, ...older];
}

function secondsOf(created: string | undefined): number {
  const milliseconds = Date.parse(created ?? "");
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}
