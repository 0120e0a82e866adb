import type { Database } from "../base/database.ts";
import { TiffinError } from "../base/error.ts";
import { emptySpec } from "./spec-defaults.ts";
import type { Container, ContainerSpec, ContainerState, Health } from "./types.ts";

/** What the engine was doing with a container when it was last written: recovery finishes or undoes it. */
export type Phase = "settled" | "updating" | "removing";

export interface StoredContainer extends Container {
  readonly phase: Phase;
}

export const NEVER = "0001-01-01T00:00:00Z";

/** Of a container that never ran; and of fields that an earlier version did not record. */
export const INITIAL_STATE: ContainerState = {
  status: "created",
  pid: 0,
  exitCode: 0,
  oomKilled: false,
  error: "",
  startedAt: NEVER,
  finishedAt: NEVER,
  endCause: "",
  restartCount: 0,
  backoffMs: 0,
  restartDueMs: 0,
  startedMonotonicMs: 0,
};

interface Row {
  id: string;
  name: string;
  created_at: string;
  image_id: string;
  id_base: number;
  log_path: string;
  spec: string;
  state: string;
  phase: Phase;
}

/**
 * The containers: a table of the state database, held in memory as well (the engine is its only writer). Every change is
 * committed before the call returns.
 */
export class ContainerTable {
  private readonly database: Database;
  private readonly byId = new Map<string, StoredContainer>();
  private readonly idByName = new Map<string, string>();

  constructor(database: Database) {
    this.database = database;
    database.execute(`CREATE TABLE IF NOT EXISTS containers (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, image_id TEXT NOT NULL,
      id_base INTEGER NOT NULL, log_path TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, phase TEXT NOT NULL)`);
    for (const row of database.all<Row>("SELECT * FROM containers ORDER BY created_at")) {
      this.remember(fromRow(row));
    }
  }

  insert(container: StoredContainer): void {
    this.database.execute(
      "INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      container.id,
      container.name,
      container.createdAt,
      container.imageId,
      container.idBase,
      container.logPath,
      JSON.stringify(container.spec),
      JSON.stringify(container.state),
      container.phase,
    );
    this.remember(container);
  }

  /** @throws not-found when it was removed meanwhile */
  update(id: string, change: { state?: Partial<ContainerState>; phase?: Phase }): StoredContainer {
    const before = this.withId(id);
    if (!before) throw new TiffinError("not-found", `No such container: ${id}`);
    const after: StoredContainer = {
      ...before,
      state: { ...before.state, ...change.state },
      phase: change.phase ?? before.phase,
    };
    this.database.execute(
      "UPDATE containers SET state = ?, phase = ? WHERE id = ?",
      JSON.stringify(after.state),
      after.phase,
      id,
    );
    this.byId.set(id, after);
    return after;
  }

  /** In memory alone: the health table keeps it (health/health-table.ts). */
  setHealth(id: string, health: Health): void {
    const container = this.byId.get(id);
    if (container) this.byId.set(id, { ...container, health });
  }

  /** @throws not-found when it was removed meanwhile */
  setSpec(id: string, spec: ContainerSpec, phase: Phase): void {
    const before = this.find(id);
    this.database.execute(
      "UPDATE containers SET spec = ?, phase = ? WHERE id = ?",
      JSON.stringify(spec),
      phase,
      id,
    );
    this.byId.set(id, { ...before, spec, phase });
  }

  /** @throws not-found when it was removed meanwhile */
  rename(id: string, name: string): StoredContainer {
    const before = this.find(id);
    this.database.execute("UPDATE containers SET name = ? WHERE id = ?", name, id);
    this.idByName.delete(before.name);
    const after = { ...before, name };
    this.remember(after);
    return after;
  }

  delete(id: string): void {
    this.database.execute("DELETE FROM containers WHERE id = ?", id);
    const container = this.byId.get(id);
    if (container) this.idByName.delete(container.name);
    this.byId.delete(id);
  }

  withId(id: string): StoredContainer | undefined {
    return this.byId.get(id);
  }

  withName(name: string): StoredContainer | undefined {
    const id = this.idByName.get(name);
    return id === undefined ? undefined : this.byId.get(id);
  }

  /**
   * The container that a user means: its ID, its name (a leading slash is docker's), or an unambiguous start of its ID.
   * @throws not-found; invalid-argument when several IDs start so
   */
  find(name: string): StoredContainer {
    const plain = name.startsWith("/") ? name.slice(1) : name;
    const exact = this.byId.get(plain) ?? this.withName(plain);
    if (exact) return exact;
    const matches = /^[0-9a-f]+$/.test(plain)
      ? this.all().filter(({ id }) => id.startsWith(plain))
      : [];
    const [match] = matches;
    if (matches.length > 1) {
      throw new TiffinError(
        "invalid-argument",
        `Multiple IDs found with provided prefix: ${plain}`,
      );
    }
    if (!match) throw new TiffinError("not-found", `No such container: ${name}`);
    return match;
  }

  /** Oldest first. */
  all(): StoredContainer[] {
    return [...this.byId.values()];
  }

  private remember(container: StoredContainer): void {
    this.byId.set(container.id, container);
    this.idByName.set(container.name, container.id);
  }
}

function fromRow(row: Row): StoredContainer {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    imageId: row.image_id,
    idBase: row.id_base,
    logPath: row.log_path,
    // An earlier version wrote fewer fields.
    spec: { ...emptySpec(""), ...(JSON.parse(row.spec) as ContainerSpec) },
    state: { ...INITIAL_STATE, ...(JSON.parse(row.state) as Partial<ContainerState>) },
    health: null,
    phase: row.phase,
  };
}
