import { failure } from "./failure.ts";

const DEFAULT_KEYS: readonly number[] = [16, 17];
const CONTROL_SYMBOLS: Readonly<Record<string, number>> = {
  "@": 0,
  "[": 27,
  "\\": 28,
  "]": 29,
  "^": 30,
  _: 31,
};

/**
 * The bytes of a key sequence such as `ctrl-p,ctrl-q` or `ctrl-a,d`.
 *
 * @throws invalid-argument
 */
export function parseDetachKeys(keys: string): readonly number[] {
  if (keys === "") return DEFAULT_KEYS;
  return keys.split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const letter =
      control !== undefined && /[a-z]/.test(control) ? control.charCodeAt(0) - 96 : undefined;
    const byte = letter ?? CONTROL_SYMBOLS[control ?? ""];
    if (byte === undefined) {
      throw failure(`tiffin: invalid detach keys (${keys}): Unknown character: '${key}'`);
    }
    return byte;
  });
}

/** Looks for the sequence in what the user types; a part of it is held back until it is decided. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** The bytes to send on, and whether the sequence is complete (what follows it is dropped). */
  scan(input: Uint8Array): { readonly data: Uint8Array; readonly detached: boolean } {
    const data: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length)
          return { data: Uint8Array.from(data), detached: true };
        continue;
      }
      data.push(...this.#keys.slice(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0] && this.#keys.length > 1) this.#matched = 1;
      else data.push(byte);
    }
    return { data: Uint8Array.from(data), detached: false };
  }
}
