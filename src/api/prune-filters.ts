import { invalidArgument } from "../base/error.ts";
import { parsePointInTime } from "../base/point-in-time.ts";
import { type Filters, parseFilters } from "./filters.ts";
import { queryString, type ApiRequest } from "./request.ts";

/** What a prune is confined to. */
export interface PruneFilters {
  readonly filters: Filters;
  /** Whether something with these labels, made then (ISO 8601), is meant. */
  readonly isWanted: (labels: Readonly<Record<string, string>>, createdAt: string) => boolean;
}

/** `label`, `label!` and `until`, and what else the kind of thing has. @throws invalid-argument, in docker's words */
export function pruneFilters(request: ApiRequest, ...more: readonly string[]): PruneFilters {
  const accepted = ["label", "label!", "until", ...more];
  const filters = parseFilters(queryString(request, "filters"), accepted);
  const until = readUntil(filters);
  return {
    filters,
    isWanted: (labels, createdAt) => {
      const isOld = until === undefined || Date.parse(createdAt) <= until;
      return isOld && filters.labels("label", labels) && filters.withoutLabels("label!", labels);
    },
  };
}

/** Milliseconds since the epoch. */
function readUntil(filters: Filters): number | undefined {
  const [value, ...more] = filters.values("until");
  if (more.length > 0) throw invalidArgument("more than one until filter specified");
  if (value === undefined) return undefined;
  const nano = parsePointInTime(value);
  if (nano === undefined) {
    throw invalidArgument(`failed to parse value as time or duration: ${JSON.stringify(value)}`);
  }
  return Number(nano) / 1e6;
}
