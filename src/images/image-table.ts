import type { Database } from "../base/database.ts";
import type { DiffId, Digest } from "../base/digest.ts";
import { TiffinError } from "../base/error.ts";
import type { LayerUse } from "./layer-use.ts";
import { fullName, type Reference } from "../base/reference.ts";
import type { Descriptor } from "./manifest.ts";

const SCHEMA_VERSION = 3;

/** Names are kept in full (`docker.io/library/debian`), so that equal names are equal text. */
const SCHEMA = [
  "CREATE TABLE image_schema (version INTEGER NOT NULL)",
  `CREATE TABLE images (
    id TEXT PRIMARY KEY, manifest_digest TEXT NOT NULL, created_at TEXT NOT NULL, last_tagged_at TEXT NOT NULL,
    is_hidden INTEGER NOT NULL DEFAULT 0)`,
  `CREATE TABLE image_layers (
    image_id TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL, diff_id TEXT NOT NULL,
    PRIMARY KEY (image_id, position))`,
  "CREATE INDEX image_layers_by_diff_id ON image_layers (diff_id)",
  `CREATE TABLE image_tags (
    name TEXT NOT NULL, tag TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images(id), PRIMARY KEY (name, tag))`,
  "CREATE INDEX image_tags_by_image ON image_tags (image_id)",
  `CREATE TABLE image_digests (
    name TEXT NOT NULL, digest TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images(id), PRIMARY KEY (name, digest))`,
  "CREATE INDEX image_digests_by_image ON image_digests (image_id)",
  "CREATE TABLE layers (diff_id TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL)",
];

/** What each version adds to the one before; a new index gets all of it. */
const MIGRATIONS: Readonly<Record<number, readonly string[]>> = {
  2: [
    `CREATE TABLE layer_blobs (
      digest TEXT PRIMARY KEY, diff_id TEXT NOT NULL, media_type TEXT NOT NULL, size_bytes INTEGER NOT NULL)`,
    "CREATE INDEX layer_blobs_by_diff_id ON layer_blobs (diff_id)",
  ],
  // Images that a name (with a tag or a digest) stands for on other platforms than that of the image it names.
  3: [
    `CREATE TABLE image_variants (
      name TEXT NOT NULL, mark TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images(id),
      PRIMARY KEY (name, mark, image_id))`,
    "CREATE INDEX image_variants_by_image ON image_variants (image_id)",
  ],
};

export interface ImageRow {
  readonly id: Digest;
  readonly manifestDigest: Digest;
  /** ISO 8601; from the configuration. */
  readonly createdAt: string;
  readonly lastTaggedAt: string;
}

/** What a list of all images tells of one. */
export interface Listing {
  readonly tags: readonly NameRow[];
  readonly digests: readonly NameRow[];
  /** Bytes of its layers together, as they were unpacked. */
  readonly sizeBytes: number;
}

export interface NameRow {
  /** Full name. */
  readonly name: string;
  /** A tag or a digest. */
  readonly mark: string;
}

/** What the state database knows of images: which there are, their names and their layers. */
export class ImageTable {
  private readonly database: Database;

  /** Makes the tables. @throws unavailable when a newer Tiffin wrote them */
  constructor(database: Database) {
    this.database = database;
    database.transaction(() => this.migrate());
  }

  private migrate(): void {
    const exists = this.database.get(
      "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'image_schema'",
    );
    if (exists === undefined) {
      for (const statement of SCHEMA) this.database.execute(statement);
      this.database.execute("INSERT INTO image_schema VALUES (1)");
    }
    const version =
      this.database.get<{ version: number }>("SELECT version FROM image_schema")?.version ?? 0;
    if (version > SCHEMA_VERSION || version < 1) {
      throw new TiffinError(
        "unavailable",
        `Cannot open the image index: its version is ${version}, this Tiffin reads ${SCHEMA_VERSION}`,
        { hint: "Use the newer Tiffin, or another --root" },
      );
    }
    for (let next = version + 1; next <= SCHEMA_VERSION; next++) {
      for (const statement of MIGRATIONS[next] ?? []) this.database.execute(statement);
    }
    this.database.execute("UPDATE image_schema SET version = ?", SCHEMA_VERSION);
  }

  transaction<Result>(work: () => Result): Result {
    return this.database.transaction(work);
  }

  /** Idempotent: an image that is known stays as it is; one that was hidden is shown again. */
  insert(row: ImageRow, layers: readonly DiffId[]): void {
    const { id, manifestDigest, createdAt, lastTaggedAt } = row;
    if (this.row(id) !== undefined) {
      this.database.execute("UPDATE images SET is_hidden = 0 WHERE id = ?", id);
      return;
    }
    this.database.execute(
      "INSERT INTO images (id, manifest_digest, created_at, last_tagged_at) VALUES (?, ?, ?, ?)",
      id,
      manifestDigest,
      createdAt,
      lastTaggedAt,
    );
    for (const [position, diffId] of layers.entries()) {
      this.database.execute("INSERT INTO image_layers VALUES (?, ?, ?)", id, position, diffId);
    }
  }

  /** Its names must be gone. */
  delete(id: Digest): void {
    this.database.execute("DELETE FROM images WHERE id = ?", id);
  }

  /**
   * Takes an image out of lists and look-ups by name or short id, and keeps its layers: it was removed while containers
   * need it. Its names must be gone.
   */
  hide(id: Digest): void {
    this.database.execute("UPDATE images SET is_hidden = 1 WHERE id = ?", id);
  }

  hiddenIds(): Digest[] {
    return this.database
      .all<{ id: Digest }>("SELECT id FROM images WHERE is_hidden = 1 ORDER BY id")
      .map(({ id }) => id);
  }

  /** Of the configurations and manifests of all images, and of their layers where the blobs are kept. */
  allDigests(): Digest[] {
    return this.database
      .all<{ digest: Digest }>(
        `SELECT id AS digest FROM images UNION SELECT manifest_digest AS digest FROM images
         UNION SELECT digest FROM layer_blobs`,
      )
      .map(({ digest }) => digest);
  }

  /** By its whole id; a hidden one too. */
  row(id: string): ImageRow | undefined {
    return this.database.get<ImageRow>(`${SELECT_IMAGE} WHERE id = ?`, id);
  }

  /** Newest first, without the hidden ones. */
  rows(): ImageRow[] {
    return this.database.all<ImageRow>(
      `${SELECT_IMAGE} WHERE is_hidden = 0 ORDER BY created_at DESC, id`,
    );
  }

  /** Ids that start with `sha256:` and these hexadecimal digits; at most two, since two are too many already. */
  idsWithPrefix(hex: string): Digest[] {
    return this.database
      .all<{ id: Digest }>(
        "SELECT id FROM images WHERE id >= ? AND id < ? AND is_hidden = 0 ORDER BY id LIMIT 2",
        `sha256:${hex}`,
        // "g" follows all hexadecimal digits.
        `sha256:${hex}g`,
      )
      .map(({ id }) => id);
  }

  layersOf(id: string): DiffId[] {
    return this.database
      .all<{ diff_id: DiffId }>(
        "SELECT diff_id FROM image_layers WHERE image_id = ? ORDER BY position",
        id,
      )
      .map((row) => row.diff_id);
  }

  /** Each layer that an image has, with the images. */
  layerUse(): LayerUse[] {
    return this.database
      .all<{ diff_id: string; size_bytes: number | null; images: string }>(
        `SELECT use.diff_id, size_bytes, group_concat(DISTINCT image_id) AS images
         FROM image_layers AS use LEFT JOIN layers ON layers.diff_id = use.diff_id GROUP BY use.diff_id`,
      )
      .map((row) => ({
        diffId: row.diff_id,
        sizeBytes: row.size_bytes ?? 0,
        imageIds: row.images.split(","),
      }));
  }

  isLayerUsed(diffId: DiffId): boolean {
    const row = this.database.get("SELECT 1 FROM image_layers WHERE diff_id = ? LIMIT 1", diffId);
    return row !== undefined;
  }

  /** Bytes of a layer as it was unpacked. */
  setLayerSize(diffId: DiffId, sizeBytes: number): void {
    this.database.execute("INSERT OR REPLACE INTO layers VALUES (?, ?)", diffId, sizeBytes);
  }

  layerSize(diffId: DiffId): number | undefined {
    return this.database.get<{ size_bytes: number }>(
      "SELECT size_bytes FROM layers WHERE diff_id = ?",
      diffId,
    )?.size_bytes;
  }

  deleteLayer(diffId: DiffId): void {
    this.database.execute("DELETE FROM layers WHERE diff_id = ?", diffId);
  }

  /** A blob that a layer can be had from again, bit for bit as it came. */
  setLayerBlob(diffId: DiffId, { digest, mediaType, size }: Descriptor): void {
    this.database.execute(
      "INSERT OR REPLACE INTO layer_blobs VALUES (?, ?, ?, ?)",
      digest,
      diffId,
      mediaType,
      size,
    );
  }

  layerBlobs(diffId: DiffId): Descriptor[] {
    return this.database.all<Descriptor>(
      `SELECT digest, media_type AS mediaType, size_bytes AS size FROM layer_blobs
       WHERE diff_id = ? ORDER BY size_bytes, digest`,
      diffId,
    );
  }

  /** Forgets the blobs of layers that no image has; their digests. */
  dropLayerBlobs(): Digest[] {
    return this.database
      .all<{ digest: Digest }>(
        `DELETE FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)
         RETURNING digest`,
      )
      .map(({ digest }) => digest);
  }

  layers(): DiffId[] {
    return this.database
      .all<{ diff_id: DiffId }>("SELECT diff_id FROM layers ORDER BY diff_id")
      .map((row) => row.diff_id);
  }

  /**
   * Names an image by a tag or a digest; a tag that named another image moves, and stands for no variant any more but those
   * that are kept.
   */
  setName(reference: Reference, id: string, variants: readonly string[] = []): void {
    const { table, column, mark } = placeOf(reference);
    const name = fullName(reference);
    this.database.execute("DELETE FROM image_variants WHERE name = ? AND mark = ?", name, mark);
    for (const variant of variants) {
      if (variant === id) continue;
      this.database.execute("INSERT INTO image_variants VALUES (?, ?, ?)", name, mark, variant);
    }
    this.database.execute(
      `INSERT INTO ${table} (name, ${column}, image_id) VALUES (?, ?, ?)
       ON CONFLICT (name, ${column}) DO UPDATE SET image_id = excluded.image_id`,
      fullName(reference),
      mark,
      id,
    );
  }

  setLastTagged(id: string, at: string): void {
    this.database.execute("UPDATE images SET last_tagged_at = ? WHERE id = ?", at, id);
  }

  /** Takes a name from an image; it then stands for a variant of another platform that has it too, if there is one. */
  deleteName(reference: Reference, id: string): void {
    const { table, column, mark } = placeOf(reference);
    const name = fullName(reference);
    const others = this.idsOf(reference).filter((other) => other !== id);
    this.database.execute(`DELETE FROM ${table} WHERE name = ? AND ${column} = ?`, name, mark);
    this.database.execute("DELETE FROM image_variants WHERE name = ? AND mark = ?", name, mark);
    const [first, ...rest] = others;
    if (first !== undefined) this.setName(reference, first, rest);
  }

  /** All images that a name stands for: the one it names, then its variants for other platforms. */
  idsOf(reference: Reference): Digest[] {
    const first = this.idOf(reference);
    if (first === undefined) return [];
    const variants = this.database.all<{ image_id: Digest }>(
      "SELECT image_id FROM image_variants WHERE name = ? AND mark = ? ORDER BY rowid",
      fullName(reference),
      placeOf(reference).mark,
    );
    return [first, ...variants.map((row) => row.image_id)];
  }

  /** The image of a name with a tag, or with a digest. */
  idOf(reference: Reference): Digest | undefined {
    const { table, column, mark } = placeOf(reference);
    return this.database.get<{ image_id: Digest }>(
      `SELECT image_id FROM ${table} WHERE name = ? AND ${column} = ?`,
      fullName(reference),
      mark,
    )?.image_id;
  }

  /** By image id, in as many queries for a thousand images as for one. */
  listings(): ReadonlyMap<string, Listing> {
    const sizes = this.database.all<{ image_id: string; bytes: number }>(
      `SELECT image_id, sum(coalesce(size_bytes, 0)) AS bytes
       FROM image_layers AS use LEFT JOIN layers ON layers.diff_id = use.diff_id GROUP BY image_id`,
    );
    const tags = this.namesByImage(ALL_TAGS);
    const digests = this.namesByImage(ALL_DIGESTS);
    return new Map(
      sizes.map(({ image_id: id, bytes }) => [
        id,
        { tags: tags.get(id) ?? [], digests: digests.get(id) ?? [], sizeBytes: bytes },
      ]),
    );
  }

  private namesByImage(names: string): Map<string, NameRow[]> {
    const byImage = new Map<string, NameRow[]>();
    const rows = this.database.all<NameRow & { imageId: string }>(
      `SELECT name, mark, image_id AS imageId FROM (${names}) ORDER BY name, mark`,
    );
    for (const { imageId, name, mark } of rows) {
      const known = byImage.get(imageId);
      if (known === undefined) byImage.set(imageId, [{ name, mark }]);
      else known.push({ name, mark });
    }
    return byImage;
  }

  tagsOf(id: string): NameRow[] {
    return this.namesOf(id, ALL_TAGS);
  }

  digestsOf(id: string): NameRow[] {
    return this.namesOf(id, ALL_DIGESTS);
  }

  private namesOf(id: string, names: string): NameRow[] {
    return this.database.all<NameRow>(
      `SELECT name, mark FROM (${names}) WHERE image_id = ? ORDER BY name, mark`,
      id,
    );
  }
}

const ALL_TAGS = `SELECT name, tag AS mark, image_id FROM image_tags
  UNION SELECT name, mark, image_id FROM image_variants WHERE mark NOT LIKE 'sha256:%'`;
const ALL_DIGESTS = `SELECT name, digest AS mark, image_id FROM image_digests
  UNION SELECT name, mark, image_id FROM image_variants WHERE mark LIKE 'sha256:%'`;

const SELECT_IMAGE =
  "SELECT id, manifest_digest AS manifestDigest, created_at AS createdAt, last_tagged_at AS lastTaggedAt FROM images";

/** A digest decides when a reference has both. @throws internal for a bare name */
function placeOf(reference: Reference): { table: string; column: string; mark: string } {
  if (reference.digest !== undefined) {
    return { table: "image_digests", column: "digest", mark: reference.digest };
  }
  if (reference.tag === undefined) {
    throw new TiffinError(
      "internal",
      `Reference ${fullName(reference)} has neither tag nor digest`,
    );
  }
  return { table: "image_tags", column: "tag", mark: reference.tag };
}
