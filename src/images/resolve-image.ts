import { type Digest, hexOf, isDigest } from "../base/digest.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import {
  familiarReference,
  fullName,
  isImageId,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../base/reference.ts";
import { type Platform, platformName } from "./manifest.ts";
import type { ImageTable, NameRow } from "./image-table.ts";

/**
 * Finds the image that a user means, in docker's order: a whole id, a name (`latest` when it has no tag), the start
 * of an id.
 *
 * @throws not-found, invalid-argument (no reference at all, or the start of several ids)
 */
export function resolveImage(table: ImageTable, text: string): Digest {
  return candidateImages(table, text)[0];
}

/** As {@link resolveImage}; a name may stand for images of other platforms too, which follow. */
export function candidateImages(
  table: ImageTable,
  text: string,
): [first: Digest, ...variants: Digest[]] {
  if (isImageId(text)) {
    const row = table.row(isDigest(text) ? text : `sha256:${text}`);
    if (row !== undefined) return [row.id];
    throw noSuchImage(text);
  }
  const reference = withDefaultTag(parseReference(text));
  const [named, ...variants] = table.idsOf(reference);
  if (named !== undefined) return [named, ...variants];
  const prefix = text.startsWith("sha256:") ? hexOf(text) : text;
  const [id, other] = /^[0-9a-f]+$/.test(prefix) ? table.idsWithPrefix(prefix) : [];
  if (other !== undefined) {
    throw invalidArgument(
      `image ID ${JSON.stringify(text)} is ambiguous: more than one image has it`,
      "Give more digits of the ID",
    );
  }
  if (id === undefined) throw noSuchImage(familiarReference(reference));
  return [id];
}

/** True when the text names the image by its id or the start of it, not by a name. */
export function isIdPrefix(id: Digest, text: string): boolean {
  return text !== "" && (id.startsWith(text) || hexOf(id).startsWith(text));
}

export function noSuchImage(name: string): TiffinError {
  return new TiffinError("not-found", `No such image: ${name}`, {
    hint: "See what there is with: tiffin images",
  });
}

/** A name stands for images, and none of them is for the platform. */
export function noSuchPlatform(
  name: string,
  wanted: Platform,
  known: readonly Platform[],
): TiffinError {
  return new TiffinError(
    "not-found",
    `image with reference ${name} was found but does not provide the specified platform (${platformName(wanted)})`,
    {
      hint: `It is here for ${known.map(platformName).join(", ")}; bring it in with: tiffin pull --platform ${platformName(wanted)} ${name}`,
    },
  );
}

/** A stored name in its familiar form: `debian:12`, `debian@sha256:…`. */
export function familiarNameOf({ name, mark }: NameRow): string {
  return familiarReference(referenceOf({ name, mark }));
}

/** A stored name as a reference. */
export function referenceOf({ name, mark }: NameRow): Reference {
  return parseReference(`${name}${isDigest(mark) ? "@" : ":"}${mark}`);
}

/** True when two references name the same repository. */
export function sameRepository(one: Reference, other: Reference): boolean {
  return fullName(one) === fullName(other);
}
