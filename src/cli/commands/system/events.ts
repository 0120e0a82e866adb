import { messageOf } from "../../../base/error.ts";
import { parseJson } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { GoMap, GoStruct } from "../../go-template/value.ts";
import { rfc3339Nano } from "../../time.ts";
import { toTimestamp } from "../../timestamp.ts";

const filter = filterFlag();
const format = text("format", INSPECT_FORMAT_HELP);
const since = text("since", "Show all events created since timestamp");
const until = text("until", "Stream events until this timestamp");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Get real time events from the server",
  examples: `# What happens to one container, from now on
tiffin events --filter container=web
# The last ten minutes, for a program
tiffin events --since 10m --until 0s --format json`,
  flags: [filter, format, since, until],
  operands: { exactly: 0 },
  run,
};

const BAD_FORMAT_STATUS = 64;

interface EngineEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: {
    readonly ID: string;
    readonly Attributes: Readonly<Record<string, string>> | null;
  };
  readonly time?: number;
  readonly timeNano?: number | bigint;
}

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const show = await printer(given.get(format));
  const query = {
    ...(given.get(since) === ""
      ? {}
      : { since: toTimestamp(given.get(since), 'invalid value for "since"') }),
    ...(given.get(until) === ""
      ? {}
      : { until: toTimestamp(given.get(until), 'invalid value for "until"') }),
    ...filtersQuery(given.get(filter)),
  };
  const response = await context.api.request("GET", "/events", { query });
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") await context.print(show(line));
  }
  return 0;
}

async function printer(source: string): Promise<(line: string) => string> {
  if (source === "") return (line) => eventText(parseJson(line) as EngineEvent);
  if (source === "json") return (line) => line.trim();
  const { Template } = await import("../../go-template/template.ts");
  try {
    const template = new Template(source);
    template.run(eventStruct({ Type: "", Action: "", Actor: { ID: "", Attributes: {} } }));
    return (line) => template.run(eventStruct(parseJson(line) as EngineEvent));
  } catch (error) {
    throw failure(`Error parsing format: ${messageOf(error)}`, BAD_FORMAT_STATUS);
  }
}

/** `2026-11-24T08:26:38.135816138Z container start 8b18… (image=busybox, name=c1)` */
function eventText(event: EngineEvent): string {
  const { ID: id, Attributes: attributes } = event.Actor;
  const nano =
    event.timeNano === undefined
      ? BigInt(event.time ?? 0) * 1_000_000_000n
      : BigInt(event.timeNano);
  const time = nano === 0n ? "" : `${rfc3339Nano(nano)} `;
  const pairs = Object.keys(attributes ?? {})
    .sort()
    .map((key) => `${key}=${attributes?.[key] ?? ""}`);
  const more = pairs.length === 0 ? "" : ` (${pairs.join(", ")})`;
  return `${time}${event.Type} ${event.Action} ${id}${more}`;
}

/** docker's events.Message: the wire's `time` and `timeNano` are `Time` and `TimeNano` in templates. */
function eventStruct(event: EngineEvent): GoStruct {
  const { Type, Action, Actor, time = 0, timeNano = 0, ...rest } = event;
  const old = rest as Readonly<Record<string, unknown>>;
  const actor = new GoStruct("events.Actor", {
    ID: Actor.ID,
    Attributes: new GoMap("map[string]string", "", Actor.Attributes ?? {}),
  });
  return new GoStruct("*events.Message", {
    Status: old["status"] ?? "",
    ID: old["id"] ?? "",
    From: old["from"] ?? "",
    Type,
    Action,
    Actor: actor,
    Scope: old["scope"] ?? "",
    Time: time,
    TimeNano: timeNano,
    MarshalJSON: () =>
      JSON.stringify(event, (_key, value: unknown) =>
        typeof value === "bigint" ? Number(value) : value,
      ),
  });
}
