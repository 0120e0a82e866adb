import { parsePointInTime } from "../base/point-in-time.ts";
import { familiarName, parseReference } from "../base/reference.ts";
import { invalidArgument } from "../base/error.ts";
import type { Image } from "../images/image-store.ts";
import { type Filters, parseFilters } from "./filters.ts";
import { summarizeImage } from "./image-json.ts";
import { json, type JsonReply } from "./reply.ts";
import { unixSeconds } from "./docker-time.ts";
import type { ApiRequest } from "./request.ts";

const acceptedFilters = ["before", "dangling", "label", "reference", "since", "until"];

/** `GET /images/json`. There are no intermediate images, so `all` changes nothing. */
export function listImages(request: ApiRequest): JsonReply {
  const { images } = request.engine;
  const filters = parseFilters(request.query.get("filters"), acceptedFilters);
  const matching = filterImages(images.images(), filters, (name) => images.image(name));
  return json(matching.map((image) => summarizeImage(image, request.version)));
}

/**
 * Docker's filters over images, newest first. A filter by reference leaves only the names that match.
 * @throws not-found for an image named by before or since
 */
export function filterImages(
  images: readonly Image[],
  filters: Filters,
  find: (name: string) => Image,
): Image[] {
  const created = ({ config }: Image): number => Date.parse(config.created ?? "") || 0;
  const before = filters.values("before").map((name) => created(find(name)));
  const since = filters.values("since").map((name) => created(find(name)));
  const until = filters.values("until").map(readUntil);
  const isDangling = filters.flag("dangling");
  return images
    .filter(
      (image) =>
        before.every((time) => created(image) < time) &&
        since.every((time) => created(image) > time) &&
        until.every((time) => unixSeconds(image.config.created ?? "") < time) &&
        (isDangling === undefined || isDangling === (image.repoTags.length === 0)) &&
        filters.labels("label", image.config.config.Labels ?? {}),
    )
    .flatMap((image) => withMatchingNames(image, filters.values("reference")));
}

/** Seconds since the epoch. */
function readUntil(value: string): number {
  const nano = parsePointInTime(value);
  if (nano === undefined) throw invalidArgument(`invalid filter 'until=${value}'`);
  return Number(nano) / 1e9;
}

function withMatchingNames(image: Image, patterns: readonly string[]): Image[] {
  if (patterns.length === 0) return [image];
  const matches = (name: string): boolean => patterns.some((pattern) => isMatch(pattern, name));
  const repoTags = image.repoTags.filter(matches);
  const repoDigests = image.repoDigests.filter(matches);
  return repoTags.length + repoDigests.length === 0 ? [] : [{ ...image, repoTags, repoDigests }];
}

/** The pattern is a glob over the familiar form, with or without the tag (distribution/reference, FamiliarMatch). */
function isMatch(pattern: string, name: string): boolean {
  const expression = globExpression(pattern);
  return expression.test(name) || expression.test(familiarName(parseReference(name)));
}

/** Go's path.Match: `*` and `?` stop at slashes, `[a-z]` and `[^a]` are classes, a backslash escapes. */
function globExpression(pattern: string): RegExp {
  const source = pattern.replaceAll(
    /\\(.)|\[(\^?)([^\]]+)\]|[\s\S]/g,
    (part: string, escaped?: string, negation?: string, characters?: string) => {
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      if (characters !== undefined) {
        return `[${negation ?? ""}${characters.replaceAll(/[\\[\]]/g, "\\$&")}]`;
      }
      return (escaped ?? part).replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    },
  );
  return new RegExp(`^${source}$`);
}
