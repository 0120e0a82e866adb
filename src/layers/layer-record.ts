import { writeFileSync } from "node:fs";
import type { UnpackedContent } from "./unpack-stream.ts";

/** What is kept of an unpacked layer beside its directory, as JSON. */
export interface LayerRecord {
  /** Bytes of its files together, holes counted. */
  readonly sizeBytes: number;
  readonly entries: number;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Bytes of its uncompressed archive, when that can be made again. */
  readonly archiveBytes?: number;
}

/** Not synced. @throws the system's errors, also when the file is there */
export function writeLayerRecord(path: string, content: UnpackedContent, hasRecipe: boolean): void {
  const { unpackedBytes, entries, tarBytes } = content;
  const record: LayerRecord = {
    sizeBytes: unpackedBytes,
    entries,
    createdAt: new Date().toISOString(),
    ...(hasRecipe ? { archiveBytes: tarBytes } : {}),
  };
  writeFileSync(path, JSON.stringify(record), { flag: "wx", mode: 0o600 });
}

export function isLayerRecord(value: unknown): value is LayerRecord {
  const record = value as Partial<LayerRecord> | null;
  return typeof record?.sizeBytes === "number" && typeof record.createdAt === "string";
}
