import { readSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { readArchiveFile } from "./archive-file.ts";
import type { UnpackControl } from "./unpack-control.ts";

const CHUNK_BYTES = 256 * 1024;
/** Of a source that comes through memory: how far it may be ahead. */
export const RING_BYTES: number = 4 * 1024 * 1024;

/** Where a thread that unpacks finds the bytes of its archive; paths are the engine's own, never from an archive. */
export type UnpackSource =
  | { readonly kind: "file"; readonly path: string }
  /** A file that is still being written: the control says how far. It stays open until the thread has answered. */
  | { readonly kind: "growing"; readonly descriptor: number }
  /** Memory that is written over and over again, a byte of the source at its position modulo the length. */
  | { readonly kind: "ring"; readonly bytes: SharedArrayBuffer };

/** The bytes of a source in their order, each piece valid until the next one is asked for. Blocks. */
export function* sourceBytes(
  source: UnpackSource,
  control: UnpackControl,
): Generator<Uint8Array, void> {
  if (source.kind === "ring") yield* ringBytes(new Uint8Array(source.bytes), control);
  else if (source.kind === "growing") yield* growingFile(source.descriptor, control);
  else yield* readArchiveFile(source.path);
}

function* growingFile(file: number, control: UnpackControl): Generator<Uint8Array, void> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let at = 0; ; ) {
    const wanted = Math.min(control.waitBeyond(at) - at, chunk.length);
    if (wanted === 0) return;
    const count = readSync(file, chunk, 0, wanted, at);
    if (count === 0)
      throw new TiffinError("internal", "Cannot unpack layer: its file became shorter");
    yield chunk.subarray(0, count);
    at += count;
  }
}

function* ringBytes(ring: Uint8Array, control: UnpackControl): Generator<Uint8Array, void> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let at = 0; ; ) {
    const start = at % ring.length;
    const count = Math.min(control.waitBeyond(at) - at, chunk.length, ring.length - start);
    if (count === 0) return;
    // A copy: the runtime's libraries take no shared memory.
    chunk.set(ring.subarray(start, start + count));
    yield chunk.subarray(0, count);
    at += count;
  }
}
