import { readFileSync } from "node:fs";
import type { Database } from "../base/database.ts";

/** The boot of the machine that this is, and whether the last engine of this root lived in another one. */
export interface Boot {
  readonly id: string;
  readonly isNew: boolean;
}

/** The kernel's random name of this boot (random(4)). */
function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

export function readBoot(database: Database): Boot {
  database.execute("CREATE TABLE IF NOT EXISTS boot (id TEXT NOT NULL)");
  const id = bootId();
  const known = database.get<{ id: string }>("SELECT id FROM boot")?.id;
  return { id, isNew: known !== undefined && known !== id };
}

/** Once all that the earlier boot left is settled: an engine that dies before does it again. */
export function recordBoot(database: Database, { id }: Boot): void {
  database.transaction(() => {
    database.execute("DELETE FROM boot");
    database.execute("INSERT INTO boot VALUES (?)", id);
  });
}
