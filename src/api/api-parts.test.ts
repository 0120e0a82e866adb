import { describe, expect, test } from "bun:test";
import { isTiffinError } from "../base/error.ts";
import { splitVersion } from "./api-version.ts";
import { parseNanoseconds, unixSeconds } from "./docker-time.ts";
import { errorReply } from "./error-reply.ts";
import { fixtureImage } from "./engine-fixture.ts";
import { formatEvent, isWanted } from "./events.ts";
import { Filters, parseFilters } from "./filters.ts";
import { filterImages } from "./image-list.ts";
import { json } from "./reply.ts";
import { router } from "./router.ts";
import { encodeFrame } from "./stream-frames.ts";
import { TiffinError } from "../base/error.ts";
import type { EngineEvent } from "../engine/types.ts";
import type { Image } from "../images/image-store.ts";

describe("the version in a path", () => {
  test("is split off", () => {
    expect(splitVersion("/v1.41/containers/json")).toEqual({
      version: { major: 1, minor: 41 },
      path: "/containers/json",
    });
  });

  test("is the newest when it is left out", () => {
    expect(splitVersion("/info")).toEqual({ version: { major: 1, minor: 51 }, path: "/info" });
  });

  test("is refused in docker's words when it is not spoken", () => {
    expect(() => splitVersion("/v1.52/info")).toThrow(
      "client version 1.52 is too new. Maximum supported API version is 1.51",
    );
    expect(() => splitVersion("/v1.23/info")).toThrow(
      "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
    );
  });
});

describe("the router", () => {
  const find = router([
    { method: "GET", path: "/images/json", handler: () => json("list") },
    { method: "GET", path: "/images/{name...}/json", handler: () => json("inspect") },
    { method: "GET", path: "/exec/{id}/json", handler: () => json("exec") },
  ]);

  test("finds names with slashes", () => {
    expect(find("GET", "/images/localhost:5000/a/b:1/json")?.parameters).toEqual({
      name: "localhost:5000/a/b:1",
    });
  });

  test("keeps a single segment single", () => {
    expect(find("GET", "/exec/a/b/json")).toBeUndefined();
    expect(find("GET", "/exec/abc/json")?.parameters).toEqual({ id: "abc" });
  });

  test("knows methods", () => {
    expect(find("POST", "/images/json")).toBeUndefined();
  });
});

test("a frame is docker's eight bytes and the data", () => {
  expect([...encodeFrame("stderr", Buffer.from("ab"))]).toEqual([2, 0, 0, 0, 0, 0, 0, 2, 97, 98]);
});

describe("times", () => {
  test("have nine decimals", () => {
    expect(parseNanoseconds("since", "1136073600.000000001")).toBe(1136073600000000001n);
    expect(parseNanoseconds("since", "5.5")).toBe(5500000000n);
    expect(parseNanoseconds("since", "")).toBe(0n);
    expect(() => parseNanoseconds("since", "10m")).toThrow("for since");
  });

  test("are 0 seconds when they never were", () => {
    expect(unixSeconds("0001-01-01T00:00:00Z")).toBe(0);
    expect(unixSeconds("2026-11-24T08:00:02.123456789Z")).toBe(1795507202);
  });
});

describe("errors", () => {
  test("carry docker's message, our code and the hint", () => {
    expect(errorReply(new TiffinError("conflict", "It runs", { hint: "Stop it" }))).toEqual({
      kind: "json",
      status: 409,
      body: { message: "It runs", code: "conflict", hint: "Stop it" },
    });
  });

  test("of state that is so already have no body", () => {
    expect(errorReply(new TiffinError("not-modified", "It runs"))).toEqual({
      kind: "empty",
      status: 304,
    });
  });

  test("that nobody foresaw are 500", () => {
    expect(errorReply(new RangeError("oops"))).toMatchObject({ status: 500 });
  });

  test("may have big numbers in their details", () => {
    const error = new TiffinError("internal", "x", { details: { size: 5n } });
    expect(errorReply(error)).toMatchObject({ body: { details: { size: "5" } } });
  });
});

function filtersOf(values: Record<string, string[]>): Filters {
  return new Filters(new Map(Object.entries(values)));
}

describe("filters", () => {
  test("come in docker's two forms", () => {
    for (const text of ['{"status":["exited"]}', '{"status":{"exited":true}}']) {
      expect(parseFilters(text, ["status"]).values("status")).toEqual(["exited"]);
    }
  });

  test("of unknown names are refused", () => {
    expect(() => parseFilters('{"foo":["x"]}', ["status"])).toThrow("invalid filter 'foo'");
  });

  test("that are no JSON are refused", () => {
    const read = (): unknown => parseFilters("status=x", ["status"]);
    expect(read).toThrow("is not JSON");
    try {
      read();
    } catch (error) {
      expect(isTiffinError(error, "invalid-argument")).toBe(true);
    }
  });

  test("by label want all labels, with or without a value", () => {
    const labels = { a: "1", b: "x=y" };
    expect(filtersOf({ label: ["a", "b=x=y"] }).labels("label", labels)).toBe(true);
    expect(filtersOf({ label: ["a=2"] }).labels("label", labels)).toBe(false);
    expect(filtersOf({ label: ["c"] }).labels("label", labels)).toBe(false);
  });

  test("by name are regular expressions", () => {
    expect(filtersOf({ name: ["^we"] }).pattern("name", "web")).toBe(true);
    expect(filtersOf({ name: ["^eb"] }).pattern("name", "web")).toBe(false);
  });
});

const event: EngineEvent = {
  type: "container",
  action: "exec_start: /bin/sh",
  actorId: "abcdef",
  attributes: { name: "web", image: "localhost:5000/box:1", a: "b" },
  timeNano: 1795507528000000123n,
};

describe("events", () => {
  test("are docker's lines, with all nanoseconds", () => {
    expect(formatEvent(event)).toBe(
      '{"status":"exec_start: /bin/sh","id":"abcdef","from":"localhost:5000/box:1","Type":"container","Action":"exec_start: /bin/sh",' +
        '"Actor":{"ID":"abcdef","Attributes":{"a":"b","image":"localhost:5000/box:1","name":"web"}},"scope":"local",' +
        '"time":1795507528,"timeNano":1795507528000000123}',
    );
  });

  const wanted: [Record<string, string[]>, boolean][] = [
    [{}, true],
    [{ event: ["exec_start"] }, true],
    [{ event: ["start"] }, false],
    [{ type: ["container"], container: ["we"] }, true],
    [{ container: ["abc"] }, true],
    [{ container: ["other"] }, false],
    [{ network: ["web"] }, false],
    [{ image: ["localhost:5000/box"] }, true],
    [{ image: ["localhost:5000/box:1"] }, true],
    [{ image: ["box"] }, false],
    [{ label: ["a=b"] }, true],
    [{ label: ["a=c"] }, false],
    [{ scope: ["swarm"] }, false],
  ];
  for (const [values, isShown] of wanted) {
    test(`pass ${JSON.stringify(values)}: ${isShown}`, () => {
      expect(isWanted(filtersOf(values), event)).toBe(isShown);
    });
  }
});

describe("a list of images", () => {
  const other: Image = {
    ...fixtureImage,
    id: `sha256:${"3".repeat(64)}`,
    repoTags: ["localhost:5000/team/app:2", "app:3"],
    config: { ...fixtureImage.config, created: "2026-11-25T00:00:00Z", config: {} },
  };
  const dangling: Image = { ...fixtureImage, id: "sha256:4", repoTags: [] };
  const all = [other, fixtureImage, dangling];
  const find = (name: string): Image =>
    all.find(({ repoTags }) => repoTags.includes(name)) ?? other;
  const tags = (values: Record<string, string[]>): (readonly string[])[] =>
    filterImages(all, filtersOf(values), find).map(({ repoTags }) => repoTags);

  test("by reference shows the names that match alone", () => {
    expect(tags({ reference: ["app"] })).toEqual([["app:3"]]);
    expect(tags({ reference: ["*:1"] })).toEqual([["box:1"]]);
    expect(tags({ reference: ["localhost:5000/*/app"] })).toEqual([["localhost:5000/team/app:2"]]);
    expect(tags({ reference: ["*"] })).toEqual([["app:3"], ["box:1"]]);
    expect(tags({ reference: ["[a-b]o?:1"] })).toEqual([["box:1"]]);
  });

  test("by dangling, label and age", () => {
    expect(tags({ dangling: ["true"] })).toEqual([[]]);
    expect(tags({ dangling: ["false"], label: ["role=base"] })).toEqual([["box:1"]]);
    expect(tags({ since: ["box:1"] })).toEqual([other.repoTags]);
    expect(tags({ before: ["app:3"], dangling: ["0"] })).toEqual([["box:1"]]);
  });
});
