import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { messageOf, TiffinError } from "../base/error.ts";
import type { CgroupWrite } from "./write.ts";

/** Files that read as they are written: what stood there can be put back. Those with a line a disk cannot. */
const READS_AS_WRITTEN =
  /^(memory\.(limit_in_bytes|memsw\.limit_in_bytes|soft_limit_in_bytes|swappiness|max|swap\.max|low)|cpu\..*|cpuset\.(cpus|mems)|pids\.max|blkio\.(bfq\.)?weight)$/;

/** Limits that change together: when the kernel refuses one, those before it are put back. */
export class LimitChange {
  private readonly earlier: { readonly path: string; readonly value: string }[] = [];

  /** @throws conflict when the kernel refuses a value */
  apply(group: string, writes: readonly CgroupWrite[]): void {
    for (const write of writes) {
      const path = `${group}/${write.file}`;
      if (write.optional === true && !existsSync(path)) continue;
      try {
        const before = READS_AS_WRITTEN.test(write.file) ? readFileSync(path, "utf8").trim() : "";
        writeFileSync(path, write.value);
        if (before !== "") this.earlier.push({ path, value: before });
      } catch (error) {
        this.undo();
        throw new TiffinError("conflict", `Cannot ${write.reason}: the kernel refuses it`, {
          cause: error,
          hint: `It says: ${messageOf(error)}`,
        });
      }
    }
  }

  private undo(): void {
    for (const { path, value } of this.earlier.toReversed()) {
      try {
        writeFileSync(path, value);
      } catch {
        // The container has ended, or uses more by now: the refusal that is told of says enough.
      }
    }
  }
}
