const CHUNK_BYTES = 256 * 1024;

/** Collects bytes into chunks of a quarter of a megabyte, each in memory of its own that can be handed to another thread. */
export class ChunkPacker {
  private buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  private filled = 0;
  private full: Uint8Array[] = [];

  add(bytes: Uint8Array): void {
    if (bytes.length < CHUNK_BYTES - this.filled) {
      this.buffer.set(bytes, this.filled);
      this.filled += bytes.length;
      return;
    }
    let rest = bytes;
    while (rest.length > 0) {
      const space = this.space(rest.length);
      space.set(rest.subarray(0, space.length));
      this.took(space.length);
      rest = rest.subarray(space.length);
    }
  }

  /** Memory to write to, at most `wanted` bytes; {@link took} says how many were written. */
  space(wanted: number): Uint8Array {
    return this.buffer.subarray(this.filled, Math.min(CHUNK_BYTES, this.filled + wanted));
  }

  took(bytes: number): void {
    this.filled += bytes;
    if (this.filled === CHUNK_BYTES) this.turnOver();
  }

  /** The chunks that are full; they are the caller's from now on. */
  takeFull(): Uint8Array[] {
    if (this.full.length === 0) return this.full;
    const { full } = this;
    this.full = [];
    return full;
  }

  /** All that is left. */
  finish(): Uint8Array[] {
    if (this.filled > 0) this.turnOver();
    return this.takeFull();
  }

  private turnOver(): void {
    this.full.push(this.buffer.subarray(0, this.filled));
    this.buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.filled = 0;
  }
}
