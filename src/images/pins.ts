/** Names held for a while, by any number of holders: work in progress keeps what it needs from being collected. */
export class Pins {
  private readonly holders = new Map<string, number>();

  hold(names: Iterable<string>): void {
    for (const name of names) this.holders.set(name, (this.holders.get(name) ?? 0) + 1);
  }

  /** Each `hold` needs one `release` of the same names. */
  release(names: Iterable<string>): void {
    for (const name of names) {
      const left = (this.holders.get(name) ?? 0) - 1;
      if (left > 0) this.holders.set(name, left);
      else this.holders.delete(name);
    }
  }

  /** By two holders at least. */
  isShared(name: string): boolean {
    return (this.holders.get(name) ?? 0) > 1;
  }

  isHeld(name: string): boolean {
    return this.holders.has(name);
  }
}
