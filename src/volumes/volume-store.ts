import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "../base/database.ts";
import { faultPoint } from "../base/fault-point.ts";
import { TiffinError } from "../base/error.ts";
import { closeDescriptor, fchmod, fchownat, openat2 } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import type { Volume } from "./volume.ts";

interface Row {
  name: string;
  created_at: string;
  labels: string;
  options: string;
  maker: string;
}

/**
 * The volumes: a table of the state database, held in memory as well (the engine is its only writer), and a directory for
 * each. Every change is on record before the call returns. A directory comes before its record and goes before it, so that
 * a record always has its directory; data without a record is never deleted.
 */
export class VolumeStore {
  private readonly directory: string;
  private readonly database: Database;
  private readonly byName = new Map<string, Volume>();

  /** @param root the engine's: volumes are below ROOT/volumes */
  constructor(root: string, database: Database) {
    this.directory = join(root, "volumes");
    this.database = database;
    // Nobody but root gets in: what containers leave in volumes may be setuid.
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    database.execute(`CREATE TABLE IF NOT EXISTS volumes (
      name TEXT PRIMARY KEY, created_at TEXT NOT NULL, labels TEXT NOT NULL, options TEXT NOT NULL, maker TEXT NOT NULL)`);
    for (const row of database.all<Row>("SELECT * FROM volumes ORDER BY created_at")) {
      this.byName.set(row.name, {
        name: row.name,
        createdAt: row.created_at,
        labels: JSON.parse(row.labels) as Record<string, string>,
        options: JSON.parse(row.options) as Record<string, string>,
        maker: row.maker,
      });
    }
  }

  /** Oldest first. */
  all(): Volume[] {
    return [...this.byName.values()];
  }

  withName(name: string): Volume | undefined {
    return this.byName.get(name);
  }

  /** @throws not-found in docker's words */
  find(name: string): Volume {
    const volume = this.byName.get(name);
    if (volume) return volume;
    throw new TiffinError("not-found", `get ${name}: no such volume`, {
      hint: "tiffin volume ls lists what is there",
    });
  }

  /** ROOT/volumes/NAME: what is the engine's of a volume. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** What containers see. */
  dataPath(name: string): string {
    return join(this.path(name), "_data");
  }

  /** Where an image's content waits until it is whole. */
  fillingPath(name: string): string {
    return join(this.path(name), "_filling");
  }

  /** Makes a volume that is not there yet: root's, mode 0755, as docker's. What stands in the directory already stays. */
  make(volume: Volume): Volume {
    mkdirSync(this.path(volume.name), { recursive: true, mode: 0o700 });
    const data = this.dataPath(volume.name);
    if (mkdirSync(data, { recursive: true }) !== undefined) setDefaultAttributes(data);
    faultPoint("volume:directory");
    this.database.execute(
      "INSERT INTO volumes VALUES (?, ?, ?, ?, ?)",
      volume.name,
      volume.createdAt,
      JSON.stringify(volume.labels),
      JSON.stringify(volume.options),
      volume.maker,
    );
    this.byName.set(volume.name, volume);
    faultPoint("volume:recorded");
    return volume;
  }

  /** Binds volumes to a container that they come or go with; "": lets them stand by themselves. All of them, or none. */
  setMaker(names: readonly string[], maker: string): void {
    this.database.transaction(() => {
      for (const name of names) {
        this.database.execute("UPDATE volumes SET maker = ? WHERE name = ?", maker, name);
      }
    });
    for (const name of names) {
      const volume = this.byName.get(name);
      if (volume) this.byName.set(name, { ...volume, maker });
    }
  }

  /** Names of the volumes that a container's making or removal has bound to it. */
  madeBy(container: string): string[] {
    return this.all()
      .filter(({ maker }) => maker !== "" && maker === container)
      .map(({ name }) => name);
  }

  /** Removes a volume. `discard` takes the directory away; it is asked again by the next engine when this one dies meanwhile. */
  remove(name: string, discard: (path: string) => void): void {
    discard(this.path(name));
    faultPoint("volume:discarded");
    this.database.execute("DELETE FROM volumes WHERE name = ?", name);
    this.byName.delete(name);
  }

  /** True when there is nothing in it, or no directory at all. */
  isEmpty(name: string): boolean {
    const data = this.dataPath(name);
    return !existsSync(data) || readdirSync(data).length === 0;
  }

  /** Names of directories without a record: of volumes that were being made, or that somebody put there. */
  strays(): string[] {
    return readdirSync(this.directory).filter((name) => !this.byName.has(name));
  }

  /** Names of volumes that have lost their directory. */
  broken(): string[] {
    return this.all()
      .map(({ name }) => name)
      .filter((name) => !existsSync(this.dataPath(name)));
  }
}

/** Not the umask's. */
function setDefaultAttributes(directory: string): void {
  const descriptor = openat2(AT.FDCWD, directory, { flags: O.RDONLY | O.DIRECTORY });
  try {
    fchownat([descriptor, ""], 0, 0);
    fchmod(descriptor, 0o755);
  } finally {
    closeDescriptor(descriptor);
  }
}
