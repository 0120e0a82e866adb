/** Who has hold of volumes beyond what is recorded of containers. In memory: recovery finds it again. */
export class VolumeUse {
  /** Volumes that a container mounts: from before its start until its end is settled. By container ID. */
  private readonly running = new Map<string, ReadonlySet<string>>();
  /** Volumes of a container that is being made. By container ID. */
  private readonly pending = new Map<string, ReadonlySet<string>>();

  begin(container: string, names: readonly string[]): void {
    if (names.length > 0) this.running.set(container, new Set(names));
  }

  /** The volumes that the container used until now. */
  end(container: string): string[] {
    const names = [...(this.running.get(container) ?? [])];
    this.running.delete(container);
    return names;
  }

  isUsed(name: string): boolean {
    return [...this.running.values()].some((names) => names.has(name));
  }

  reserve(container: string, names: readonly string[]): void {
    this.pending.set(container, new Set(names));
  }

  unreserve(container: string): void {
    this.pending.delete(container);
  }

  /** IDs of containers that are being made with the volume. */
  makersOf(name: string): string[] {
    return [...this.pending].filter(([, names]) => names.has(name)).map(([id]) => id);
  }
}
