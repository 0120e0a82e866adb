import { invalidArgument } from "../base/error.ts";

const DEFAULT = "ctrl-p,ctrl-q";
const CONTROL = /^ctrl-([a-z@[\\\]^_])$/;

/**
 * The bytes of docker's detach key notation: `ctrl-p,ctrl-q`, `ctrl-a,d`.
 * @throws invalid-argument for a key that is neither a character nor ctrl- and a letter or one of `@[\]^_`
 */
export function parseDetachKeys(keys: string): Uint8Array {
  const bytes = (keys === "" ? DEFAULT : keys).split(",").map((key) => {
    const control = CONTROL.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    throw invalidArgument(
      `Invalid detach keys "${keys}": unknown key "${key}"`,
      "Example: ctrl-p,ctrl-q",
    );
  });
  return Uint8Array.from(bytes);
}

/** Watches typed bytes for the detach keys. Keys of a started sequence are held back until it is clear what they are. */
export class DetachWatcher {
  private readonly keys: Uint8Array;
  private matched = 0;

  constructor(keys: Uint8Array) {
    this.keys = keys;
  }

  /** What goes on to the container, and whether the sequence is complete. */
  take(data: Uint8Array): { pass: Uint8Array; detached: boolean } {
    const pass: number[] = [];
    for (const byte of data) {
      if (byte === this.keys[this.matched]) {
        this.matched += 1;
        if (this.matched === this.keys.length)
          return { pass: Uint8Array.from(pass), detached: true };
        continue;
      }
      pass.push(...this.keys.subarray(0, this.matched));
      this.matched = byte === this.keys[0] ? 1 : 0;
      if (this.matched === 0) pass.push(byte);
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
