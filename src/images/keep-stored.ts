import type { Digest } from "../base/digest.ts";
import { ALL_BLOBS, type ImagePlaces, releaseContent } from "./garbage.ts";

/** Does work that reads images; what they are made of stays until it is over, also when they are removed meanwhile. */
export async function keepStored<Result>(
  places: ImagePlaces,
  ids: readonly Digest[],
  work: () => Promise<Result>,
): Promise<Result> {
  const release = holdStored(places, ids);
  try {
    return await work();
  } finally {
    await release();
  }
}

/** As {@link keepStored}, for work that is not one call. */
export function holdStored(places: ImagePlaces, ids: readonly Digest[]): () => Promise<void> {
  const { table, pins } = places;
  const diffIds = ids.flatMap((id) => table.layersOf(id));
  const blobs = diffIds.flatMap((diffId) => table.layerBlobs(diffId).map(({ digest }) => digest));
  const rows = ids.flatMap((id) => [id, table.row(id)?.manifestDigest ?? id]);
  const names = [ALL_BLOBS, ...diffIds, ...blobs, ...rows];
  pins.hold(names);
  return async () => {
    pins.release(names);
    // Removes what was removed meanwhile; else nothing.
    await releaseContent(places, diffIds, [...blobs, ...rows]);
  };
}
