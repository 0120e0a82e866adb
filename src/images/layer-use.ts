/** A layer on disk, and which images have it. */
export interface LayerUse {
  readonly diffId: string;
  readonly sizeBytes: number;
  /** Those too that were removed while containers needed them. */
  readonly imageIds: readonly string[];
}

/** Bytes of all layers, each once. */
export function totalBytes(layers: readonly LayerUse[]): number {
  return layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** By image: bytes of its layers that other images have as well. */
export function sharedBytes(layers: readonly LayerUse[]): Map<string, number> {
  const shared = new Map<string, number>();
  for (const { imageIds, sizeBytes } of layers) {
    for (const id of imageIds) {
      shared.set(id, (shared.get(id) ?? 0) + (imageIds.length > 1 ? sizeBytes : 0));
    }
  }
  return shared;
}

/** Bytes that removing these images gives back: of the layers that no other image has. */
export function freedBytes(layers: readonly LayerUse[], goes: ReadonlySet<string>): number {
  return totalBytes(layers.filter(({ imageIds }) => imageIds.every((id) => goes.has(id))));
}
