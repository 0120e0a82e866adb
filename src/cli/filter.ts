import { type Flag, list } from "./flag.ts";

/** `--filter NAME=VALUE`, as every list has it; a prune's has no short form, since `-f` is its force. */
export function filterFlag(
  help: string = "Filter output based on conditions provided",
  options: { short?: string } = { short: "f" },
): Flag<readonly string[]> {
  return list("filter", help, {
    ...options,
    type: "filter",
    check: (value) => {
      if (value !== "" && !value.includes("=")) {
        throw new Error("bad format of filter (expected name=value)");
      }
      return value;
    },
  });
}

/** The API's form: JSON of `{name: {value: true}}`. */
export function filtersQuery(filters: readonly string[]): { filters?: string } {
  const byName: Record<string, Record<string, boolean>> = {};
  for (const filter of filters) {
    if (filter === "") continue;
    const equals = filter.indexOf("=");
    const name = filter.slice(0, equals).trim().toLowerCase();
    byName[name] = { ...byName[name], [filter.slice(equals + 1).trim()]: true };
  }
  return Object.keys(byName).length === 0 ? {} : { filters: JSON.stringify(byName) };
}
