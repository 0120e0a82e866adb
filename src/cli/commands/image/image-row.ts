import { humanDuration } from "../../../base/duration.ts";
import { familiarName, parseReference } from "../../../base/reference.ts";
import { humanSize } from "../../../base/size.ts";
import type { Listing, Row } from "../../listing.ts";
import { goTime } from "../../time.ts";

/** One entry of GET /images/json. */
export interface ImageSummary {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Containers: number;
}

export const IMAGE_LISTING: Listing = {
  headers: {
    ID: "IMAGE ID",
    Repository: "REPOSITORY",
    Tag: "TAG",
    Digest: "DIGEST",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
    Containers: "CONTAINERS",
    VirtualSize: "SIZE",
    SharedSize: "SHARED SIZE",
    UniqueSize: "UNIQUE SIZE",
  },
  columns: ["Repository", "Tag", "ID", "CreatedSince", "Size"],
  raw: [
    ["repository", "Repository"],
    ["tag", "Tag"],
    ["image_id", "ID"],
    ["created_at", "CreatedAt"],
    ["virtual_size", "Size"],
  ],
};

const NONE = "<none>";
const SHORT_ID = 12;
const NOT_KNOWN = "N/A";

export interface ImageRowOptions {
  readonly truncate: boolean;
  /** --digests: a row for each digest of an image. */
  readonly digests: boolean;
  /** The format shows digests. */
  readonly needDigest: boolean;
}

/** The rows of one image: one for each name. */
export function imageRows(image: ImageSummary, options: ImageRowOptions): Row[] {
  const tags = byName(image.RepoTags ?? [], ":");
  const digests = byName(image.RepoDigests ?? [], "@");
  if (isDangling(image)) return [imageRow(image, { name: NONE, tag: NONE, digest: NONE }, options)];
  const rows: Row[] = [];
  for (const [name, own] of tags) {
    const known = options.needDigest ? (digests.get(name) ?? []) : [];
    digests.delete(name);
    for (const tag of own) {
      for (const digest of known.length === 0 ? [NONE] : known) {
        rows.push(imageRow(image, { name, tag, digest }, options));
      }
    }
  }
  for (const [name, own] of digests) {
    for (const digest of options.digests ? own : [""]) {
      rows.push(imageRow(image, { name, tag: NONE, digest }, options));
    }
  }
  return rows;
}

function isDangling({ RepoTags: tags, RepoDigests: digests }: ImageSummary): boolean {
  const isEmpty = (names: readonly string[] | null, none: string): boolean =>
    names === null || names.length === 0 || (names.length === 1 && names[0] === none);
  return isEmpty(tags, `${NONE}:${NONE}`) && isEmpty(digests, `${NONE}@${NONE}`);
}

function byName(references: readonly string[], separator: ":" | "@"): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const text of references) {
    try {
      const reference = parseReference(text);
      const suffix = separator === ":" ? reference.tag : reference.digest;
      if (suffix === undefined) continue;
      const name = familiarName(reference);
      names.set(name, [...(names.get(name) ?? []), suffix]);
    } catch {
      // "<none>:<none>" stands for no name.
    }
  }
  return names;
}

function imageRow(
  image: ImageSummary,
  names: { readonly name: string; readonly tag: string; readonly digest: string },
  options: ImageRowOptions,
): Row {
  const { Size: size, SharedSize: shared } = image;
  return {
    Containers: () => (image.Containers === -1 ? NOT_KNOWN : String(image.Containers)),
    CreatedAt: () => goTime(image.Created),
    CreatedSince: () => `${humanDuration(Date.now() / 1000 - image.Created)} ago`,
    Digest: () => names.digest,
    ID: () => (options.truncate ? shortId(image.Id) : image.Id),
    Repository: () => names.name,
    SharedSize: () => (shared === -1 ? NOT_KNOWN : humanSize(shared)),
    Size: () => humanSize(size, 3),
    Tag: () => names.tag,
    UniqueSize: () => (size === -1 || shared === -1 ? NOT_KNOWN : humanSize(size - shared)),
    VirtualSize: () => humanSize(size),
  };
}

function shortId(id: string): string {
  return id.slice(id.indexOf(":") + 1).slice(0, SHORT_ID);
}
