import { shortId } from "../base/digest.ts";
import type { ImageLayer } from "./image-source.ts";
import type { Progress } from "./image-store.ts";

type Report = (progress: Progress) => void;

/** Told while layers are brought in, in the words of whoever brings them. */
export interface LayerReport {
  /** So many bytes of a layer have been unpacked. */
  taken?(layer: ImageLayer, bytes: number): void;
  /** A layer is whole; `wasHere`: it had been before. */
  done?(layer: ImageLayer, wasHere: boolean): void;
  /** A name moved from another image to this one. */
  renamed?(name: string, before: string): void;
}

/** Bytes between two reports of progress. */
const REPORT_BYTES = 512 * 1024;

/** What docker says while it loads an archive. */
export function loadReport(report: Report): LayerReport {
  const reported = new Map<ImageLayer, number>();
  return {
    taken: (layer, currentBytes) => {
      const totalBytes = layer.descriptor.size;
      const before = reported.get(layer) ?? -REPORT_BYTES;
      if (currentBytes - before < REPORT_BYTES && currentBytes < totalBytes) return;
      reported.set(layer, currentBytes);
      report({ id: shortId(layer.diffId), status: "Loading layer", currentBytes, totalBytes });
    },
    renamed: (name, before) =>
      report({
        status: `The image ${name} already exists, renaming the old one with ID ${before} to empty string`,
      }),
  };
}

/** What docker says while it pulls; downloads tell of themselves. */
export function pullReport(report: Report): LayerReport {
  return {
    done: ({ descriptor }, wasHere) =>
      report({
        id: shortId(descriptor.digest),
        status: wasHere ? "Already exists" : "Pull complete",
      }),
  };
}
