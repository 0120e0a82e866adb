import type { Database } from "../base/database.ts";
import { TiffinError } from "../base/error.ts";
import type { Exec, ExecSpec } from "./types.ts";

interface Row {
  id: string;
  container_id: string;
  spec: string;
  running: number;
  pid: number;
  exit_code: number | null;
}

/** So many execs of containers that are gone can still be asked about, the newest. */
const KEPT_DEPARTED = 256;

/**
 * Execs, kept until their container starts again or is removed: a table of the state database, held in memory as well. A
 * client that waits for an exec's end asks for its status after that: what ended with its container is held a little longer.
 */
export class ExecTable {
  private readonly database: Database;
  private readonly byId = new Map<string, Exec>();
  private readonly departed = new Map<string, Exec>();

  constructor(database: Database) {
    this.database = database;
    database.execute(`CREATE TABLE IF NOT EXISTS execs (
      id TEXT PRIMARY KEY, container_id TEXT NOT NULL, spec TEXT NOT NULL, running INTEGER NOT NULL,
      pid INTEGER NOT NULL, exit_code INTEGER)`);
    for (const row of database.all<Row>("SELECT * FROM execs")) {
      this.byId.set(row.id, {
        id: row.id,
        containerId: row.container_id,
        spec: JSON.parse(row.spec) as ExecSpec,
        running: row.running !== 0,
        pid: row.pid,
        exitCode: row.exit_code,
      });
    }
  }

  insert(exec: Exec): void {
    this.database.execute(
      "INSERT INTO execs VALUES (?, ?, ?, ?, ?, ?)",
      exec.id,
      exec.containerId,
      JSON.stringify(exec.spec),
      exec.running ? 1 : 0,
      exec.pid,
      exec.exitCode,
    );
    this.byId.set(exec.id, exec);
  }

  update(id: string, change: Partial<Pick<Exec, "running" | "pid" | "exitCode">>): void {
    const gone = this.departed.get(id);
    if (gone) this.departed.set(id, { ...gone, ...change });
    const before = this.byId.get(id);
    if (!before) return;
    const after = { ...before, ...change };
    this.database.execute(
      "UPDATE execs SET running = ?, pid = ?, exit_code = ? WHERE id = ?",
      after.running ? 1 : 0,
      after.pid,
      after.exitCode,
      id,
    );
    this.byId.set(id, after);
  }

  delete(id: string): void {
    this.database.execute("DELETE FROM execs WHERE id = ?", id);
    this.byId.delete(id);
  }

  deleteOf(containerId: string): void {
    const mine = this.of(containerId);
    if (mine.length === 0) return;
    this.database.execute("DELETE FROM execs WHERE container_id = ?", containerId);
    for (const exec of mine) {
      this.byId.delete(exec.id);
      this.departed.set(exec.id, exec);
    }
    for (const id of this.departed.keys()) {
      if (this.departed.size <= KEPT_DEPARTED) break;
      this.departed.delete(id);
    }
  }

  of(containerId: string): Exec[] {
    return [...this.byId.values()].filter((exec) => exec.containerId === containerId);
  }

  all(): Exec[] {
    return [...this.byId.values()];
  }

  /** @throws not-found, also when several IDs start so */
  find(id: string): Exec {
    const exact = this.byId.get(id) ?? this.departed.get(id);
    if (exact) return exact;
    const matches =
      id === "" ? [] : [...this.byId.values()].filter((exec) => exec.id.startsWith(id));
    const [match] = matches;
    if (!match || matches.length > 1)
      throw new TiffinError("not-found", `No such exec instance: ${id}`);
    return match;
  }
}
