import { createHash } from "node:crypto";
import type { Database } from "../base/database.ts";
import { TiffinError } from "../base/error.ts";
import type { Network } from "./network.ts";

interface Row {
  id: string;
  name: string;
  created_at: string;
  definition: string;
}

type Definition = Omit<Network, "id" | "name" | "createdAt" | "predefined">;

/** The networks that are there without being made, with docker's names for their drivers. */
const PREDEFINED = { bridge: "bridge", host: "host", none: "null" } as const;
const NEVER = "0001-01-01T00:00:00Z";

/** The networks: a table of the state database, held in memory as well (the engine is its only writer). */
export class NetworkTable {
  private readonly database: Database;
  private readonly byId = new Map<string, Network>();

  constructor(database: Database, engineId: string) {
    this.database = database;
    database.execute(`CREATE TABLE IF NOT EXISTS networks (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, definition TEXT NOT NULL)`);
    for (const row of database.all<Row>("SELECT * FROM networks ORDER BY created_at")) {
      const definition = JSON.parse(row.definition) as Definition;
      const { id, name, created_at: createdAt } = row;
      this.byId.set(id, { ...definition, id, name, createdAt, predefined: isPredefined(name) });
    }
    for (const [name, driver] of Object.entries(PREDEFINED)) {
      if (this.withName(name)) continue;
      const id = createHash("sha256").update(`${engineId} network ${name}`).digest("hex");
      this.byId.set(id, predefined({ id, name, driver }));
    }
  }

  /** Recorded before the call returns; a predefined one too, from when it has addresses. */
  insert(network: Network): void {
    const { id, name, createdAt, predefined: _, ...definition } = network;
    this.database.execute(
      "INSERT OR REPLACE INTO networks VALUES (?, ?, ?, ?)",
      id,
      name,
      createdAt,
      JSON.stringify(definition),
    );
    this.byId.set(id, network);
  }

  delete(id: string): void {
    this.database.execute("DELETE FROM networks WHERE id = ?", id);
    this.byId.delete(id);
  }

  withId(id: string): Network | undefined {
    return this.byId.get(id);
  }

  withName(name: string): Network | undefined {
    return this.all().find((network) => network.name === name);
  }

  /** By name, ID, or an unambiguous start of the ID. @throws not-found; invalid-argument, both in docker's words */
  find(wanted: string): Network {
    const exact = this.byId.get(wanted) ?? this.withName(wanted);
    if (exact) return exact;
    const matches = wanted === "" ? [] : this.all().filter(({ id }) => id.startsWith(wanted));
    const [match] = matches;
    if (matches.length > 1) {
      throw new TiffinError(
        "invalid-argument",
        `network ${wanted} is ambiguous (${matches.length} matches found on ID prefix)`,
      );
    }
    if (match) return match;
    throw new TiffinError("not-found", `network ${wanted} not found`, {
      hint: "tiffin network ls lists what is there",
    });
  }

  /** Oldest first. */
  all(): Network[] {
    return [...this.byId.values()];
  }
}

function isPredefined(name: string): boolean {
  return Object.hasOwn(PREDEFINED, name);
}

function predefined(network: Pick<Network, "id" | "name" | "driver">): Network {
  const isBridge = network.driver === "bridge";
  return {
    ...network,
    createdAt: NEVER,
    pools: [],
    labels: {},
    options: {},
    ipamOptions: {},
    ipv4: true,
    ipv6: isBridge,
    internal: false,
    attachable: false,
    predefined: true,
  };
}
