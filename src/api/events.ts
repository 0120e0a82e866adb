import type { EngineEvent } from "../engine/types.ts";
import { parseNanoseconds } from "./docker-time.ts";
import { type Filters, parseFilters } from "./filters.ts";
import { stream, type StreamReply } from "./reply.ts";
import { queryString, type ApiRequest } from "./request.ts";

const acceptedFilters = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
];

/** `GET /events`: one JSON object a line, past ones from `since` on, then live ones until `until`. */
export function streamEvents(request: ApiRequest): StreamReply {
  const filters = parseFilters(request.query.get("filters"), acceptedFilters);
  const since = queryString(request, "since");
  const until = queryString(request, "until");
  const range = {
    ...(since === "" ? {} : { sinceNano: parseNanoseconds("since", since) }),
    ...(until === "" ? {} : { untilNano: parseNanoseconds("until", until) }),
  };
  return stream(
    "application/json",
    async (sink) => {
      for await (const event of request.engine.events(range, request.signal)) {
        if (isWanted(filters, event)) await sink.write(`${formatEvent(event)}\n`);
      }
    },
    { headersFirst: true },
  );
}

/** Docker's rules (moby, daemon/events/filter.go). */
export function isWanted(filters: Filters, event: EngineEvent): boolean {
  return (
    isWantedAction(filters, event.action) &&
    filters.exact("type", event.type) &&
    filters.exact("scope", "local") &&
    isWantedActor(filters, event) &&
    isWantedImage(filters, event) &&
    filters.labels("label", event.attributes)
  );
}

/** `exec_start: /bin/sh` is found by `exec_start`. */
function isWantedAction(filters: Filters, action: string): boolean {
  const isOpen = filters
    .values("event")
    .some((name) => ["exec_create", "exec_start", "health_status"].includes(name));
  return isOpen ? filters.prefix("event", action) : filters.exact("event", action);
}

/** Each kind of thing has a filter by the start of its ID or name; other kinds' events do not pass it. */
function isWantedActor(filters: Filters, event: EngineEvent): boolean {
  const name = event.attributes["name"] ?? "";
  return ["container", "daemon", "network", "plugin", "volume"].every(
    (kind) =>
      !filters.has(kind) || (event.type === kind && filters.prefix(kind, event.actorId, name)),
  );
}

/** By ID or name, with or without the tag; of images, and of containers of an image. */
function isWantedImage(filters: Filters, event: EngineEvent): boolean {
  if (!filters.has("image")) return true;
  const name = event.attributes[event.type === "image" ? "name" : "image"] ?? "";
  return [event.actorId, name, withoutTag(event.actorId), withoutTag(name)].some(
    (candidate) => candidate !== "" && filters.exact("image", candidate),
  );
}

function withoutTag(name: string): string {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

/** With the older top-level fields, which many clients still read. */
export function formatEvent(event: EngineEvent): string {
  const isLegacy = event.type === "container" || event.type === "image";
  const from = event.attributes["image"];
  const body = JSON.stringify({
    ...(isLegacy ? { status: event.action, id: event.actorId } : {}),
    ...(isLegacy && from !== undefined ? { from } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.actorId, Attributes: sorted(event.attributes) },
    scope: "local",
    time: Number(event.timeNano / 1_000_000_000n),
  });
  // A number of nanoseconds has more digits than a JavaScript number: as text into the object.
  return `${body.slice(0, -1)},"timeNano":${event.timeNano}}`;
}

function sorted(attributes: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(attributes);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
