import type { Database } from "../../base/database.ts";
import type { Health } from "../types.ts";

/** A container's health with what the next engine needs to go on; times are of the machine's monotonic clock. */
export interface HealthRecord {
  readonly health: Health;
  /** The run that it is of, by its start. */
  readonly runStartedMs: number;
  readonly nextDueMs: number;
}

/** Records of health: a table of the state database. A container's goes with the container. */
export class HealthTable {
  private readonly database: Database;

  constructor(database: Database) {
    this.database = database;
    database.execute(
      `CREATE TABLE IF NOT EXISTS health (container_id TEXT PRIMARY KEY
        REFERENCES containers(id) ON DELETE CASCADE, record TEXT NOT NULL)`,
    );
  }

  all(): Map<string, HealthRecord> {
    const rows = this.database.all<{ container_id: string; record: string }>(
      "SELECT * FROM health",
    );
    return new Map(rows.map((row) => [row.container_id, JSON.parse(row.record) as HealthRecord]));
  }

  /** In one transaction: a hundred cost little more than one. */
  save(records: ReadonlyMap<string, HealthRecord>): void {
    this.database.transaction(() => {
      for (const [id, record] of records) {
        // Of a container that is being removed there may be no row any more to belong to.
        this.database.execute(
          "INSERT OR REPLACE INTO health SELECT id, ? FROM containers WHERE id = ?",
          JSON.stringify(record),
          id,
        );
      }
    });
  }
}
