/** One holder at a time per key; others wait in the order in which they came. */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  async hold<Result>(key: string, work: () => Promise<Result> | Result): Promise<Result> {
    const before = this.tails.get(key) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const tail = before.then(() => promise);
    this.tails.set(key, tail);
    await before;
    try {
      return await work();
    } finally {
      resolve();
      if (this.tails.get(key) === tail) this.tails.delete(key);
    }
  }
}
