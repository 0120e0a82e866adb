import { type Digest, shortId } from "../base/digest.ts";
import { TiffinError } from "../base/error.ts";
import {
  familiarReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../base/reference.ts";
import { isIdPrefix, sameRepository } from "./resolve-image.ts";

/** A container that was made from the image. */
export interface ImageUser {
  readonly id: string;
  readonly running: boolean;
}

export interface RemovalFacts {
  readonly id: Digest;
  /** As the user wrote it. */
  readonly asked: string;
  readonly force: boolean;
  /** All names of the image. */
  readonly references: readonly Reference[];
  readonly users: readonly ImageUser[];
}

export interface RemovalPlan {
  readonly untag: readonly Reference[];
  /** Whether the image itself goes. */
  readonly deletes: boolean;
}

interface Conflict {
  readonly isUse: boolean;
  readonly error: TiffinError;
}

/**
 * What removing an image by that name does, by docker's rules: a name is taken off, and the image goes with its last
 * name; an id removes the image when its names are of one repository. Running containers always keep it, stopped ones
 * and names in several repositories unless forced.
 *
 * @throws conflict, in docker's words
 */
export function planRemoval(facts: RemovalFacts): RemovalPlan {
  const { id, asked, force, references, users } = facts;
  if (isIdPrefix(id, asked)) {
    const single = isSingle(references);
    const found = conflict(facts, single ? [] : references);
    if (found !== undefined) throw found.error;
    return { untag: references, deletes: true };
  }
  const [user] = users;
  if (!force && user !== undefined && isSingle(references)) {
    throw new TiffinError(
      "conflict",
      `conflict: unable to remove repository reference ${JSON.stringify(asked)} (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(id)}`,
      { hint: `Remove the container first: tiffin rm ${shortId(user.id)}` },
    );
  }
  const target = withDefaultTag(parseReference(asked));
  const { untag, rest } = untagged(target, references);
  if (rest.length > 0) return { untag, deletes: false };
  const found = conflict(facts, rest);
  if (found === undefined) return { untag, deletes: true };
  // The name is gone; a container that uses the image keeps it, without a name.
  if (found.isUse) return { untag, deletes: false };
  throw found.error;
}

/** The names that go: the one asked for, and digests of the same repository once its last tag goes. */
function untagged(
  target: Reference,
  references: readonly Reference[],
): { untag: Reference[]; rest: Reference[] } {
  const name = familiarReference(markOnly(target));
  const others = references.filter((reference) => familiarReference(reference) !== name);
  const siblings = others.filter((reference) => sameRepository(reference, target));
  const keepsDigests =
    target.digest !== undefined || siblings.some(({ digest }) => digest === undefined);
  const goes = keepsDigests ? [] : siblings;
  return {
    untag: [markOnly(target), ...goes],
    rest: others.filter((reference) => !goes.includes(reference)),
  };
}

/** A digest decides when a reference has both. */
function markOnly(reference: Reference): Reference {
  return reference.digest === undefined ? reference : { ...reference, tag: undefined };
}

/** At most one tag, and a digest of the same repository beside it. */
function isSingle(references: readonly Reference[]): boolean {
  if (references.length <= 1) return true;
  const [one, other] = references;
  if (one === undefined || other === undefined || references.length > 2) return false;
  return (one.digest === undefined) !== (other.digest === undefined) && sameRepository(one, other);
}

function conflict(
  { id, force, users }: RemovalFacts,
  references: readonly Reference[],
): Conflict | undefined {
  const error = (how: string, why: string, hint: string) =>
    new TiffinError("conflict", `conflict: unable to delete ${shortId(id)} (${how}) - ${why}`, {
      hint,
    });
  const running = users.find((user) => user.running);
  if (running !== undefined) {
    const why = `image is being used by running container ${shortId(running.id)}`;
    const hint = `Stop and remove it first: tiffin rm -f ${shortId(running.id)}`;
    return { isUse: true, error: error("cannot be forced", why, hint) };
  }
  if (force) return undefined;
  if (references.length > 0) {
    const why = "image is referenced in multiple repositories";
    return { isUse: false, error: error("must be forced", why, "Remove it by name, or use -f") };
  }
  const [stopped] = users;
  if (stopped === undefined) return undefined;
  const why = `image is being used by stopped container ${shortId(stopped.id)}`;
  const hint = `Remove it first: tiffin rm ${shortId(stopped.id)}`;
  return { isUse: true, error: error("must be forced", why, hint) };
}
