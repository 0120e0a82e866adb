import { Database as BunDatabase } from "bun:sqlite";

export type SqlValue = string | number | bigint | null | Uint8Array;

/** SQLite behind the few calls that the project uses: the one module to change for another runtime's binding. */
export interface Database {
  execute(sql: string, ...values: SqlValue[]): void;
  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined;
  all<Row>(sql: string, ...values: SqlValue[]): Row[];
  /** Runs `work` in one transaction; an error rolls it back and is thrown on. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/**
 * Opens (and makes) a database file: WAL, synchronous=NORMAL, so that kill -9 of the process loses nothing that was
 * committed. Statements are compiled once per text.
 */
export function openDatabase(path: string): Database {
  const database = new BunDatabase(path, { create: true, strict: true });
  for (const pragma of [
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "busy_timeout=5000",
  ]) {
    database.run(`PRAGMA ${pragma}`);
  }
  return {
    execute: (sql, ...values) => void database.query(sql).run(...values),
    get: <Row>(sql: string, ...values: SqlValue[]) =>
      (database.query(sql).get(...values) as Row | null) ?? undefined,
    all: <Row>(sql: string, ...values: SqlValue[]) => database.query(sql).all(...values) as Row[],
    transaction: (work) => database.transaction(work)(),
    close: () => database.close(),
  };
}
