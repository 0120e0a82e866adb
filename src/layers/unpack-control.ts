import { TiffinError } from "../base/error.ts";

/** Words of 32 bits, behind one of 64 that counts the bytes. */
const SIGNAL = 2;
const CANCELLED = 3;
const LOWER_READY = 4;
const ENDED = 5;
const WORDS = 6;

/**
 * What the engine's thread tells a thread that unpacks, in memory that both see: that thread works and waits without taking
 * messages.
 */
export class UnpackControl {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #arrived: BigInt64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4 * WORDS)) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
    this.#arrived = new BigInt64Array(shared, 0, 1);
  }

  /** The work is called off. */
  cancel(): void {
    this.#set(CANCELLED);
  }

  /** The layers below are whole. */
  setLowerReady(): void {
    this.#set(LOWER_READY);
  }

  /** So many bytes of the source are there, in all. */
  setArrived(bytes: number): void {
    Atomics.store(this.#arrived, 0, BigInt(bytes));
    this.#wake();
  }

  /** The bytes that have arrived are all. */
  setEnded(): void {
    this.#set(ENDED);
  }

  /** For the thread that unpacks, often. @throws when the work was called off */
  checkpoint(): void {
    if (this.#is(CANCELLED)) {
      throw new TiffinError("unavailable", "Cannot unpack layer: it was cancelled");
    }
  }

  /** Blocks until the layers below are whole. @throws when the work was called off */
  waitForLower(): void {
    this.#waitUntil(() => this.#is(LOWER_READY));
  }

  /** Blocks until more than `position` bytes are there, or the source has ended; what is there. @throws when the work was called off */
  waitBeyond(position: number): number {
    let arrived = 0;
    this.#waitUntil(() => {
      // In this order: what has arrived when the source has ended is all.
      const hasEnded = this.#is(ENDED);
      arrived = Number(Atomics.load(this.#arrived, 0));
      return hasEnded || arrived > position;
    });
    return arrived;
  }

  #waitUntil(condition: () => boolean): void {
    for (;;) {
      const seen = Atomics.load(this.#words, SIGNAL);
      this.checkpoint();
      if (condition()) return;
      Atomics.wait(this.#words, SIGNAL, seen);
    }
  }

  #is(word: number): boolean {
    return Atomics.load(this.#words, word) !== 0;
  }

  #set(word: number): void {
    Atomics.store(this.#words, word, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
  }
}
