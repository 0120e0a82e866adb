import { describe, expect, test } from "bun:test";
import {
  formatHealthCheck,
  formatLifeAnnotations,
  lifeAnnotations,
  readLife,
} from "./container-health.ts";
import { emptySpec } from "../engine/spec-defaults.ts";
import { JsonObject } from "./json-object.ts";

const { healthHttp, healthTcp, onUnhealthy, timeout } = lifeAnnotations;
const read = (body: object, annotations: Record<string, string> = {}) =>
  readLife(new JsonObject(body), annotations);

describe("what a create body says about a container's life", () => {
  test("is nothing at first", () => {
    expect(read({})).toEqual({ healthcheck: null, onUnhealthy: "", longestRunMs: 0 });
  });

  test("comes back as it was said", () => {
    const Healthcheck = {
      Test: ["CMD-SHELL", "true"],
      Interval: 1e9,
      Timeout: 2e9,
      StartPeriod: 3e9,
      StartInterval: 4e9,
      Retries: 5,
    };
    const { healthcheck } = read({ Healthcheck });
    expect(healthcheck && formatHealthCheck(healthcheck)).toEqual(Healthcheck);
  });

  test("in our annotations comes back as annotations, with docker's times", () => {
    const given = { [healthHttp]: ":80/up", [onUnhealthy]: "kill", [timeout]: "1.5" };
    const life = read({ Healthcheck: { Interval: 1e9 } }, given);
    expect(life.longestRunMs).toBe(1500);
    expect(formatLifeAnnotations({ ...emptySpec("box"), ...life })).toEqual(given);
    expect(life.healthcheck && formatHealthCheck(life.healthcheck)).toEqual({ Interval: 1e9 });
  });

  const refused: [string, object, Record<string, string>, string][] = [
    ["two checks", {}, { [healthHttp]: "80", [healthTcp]: "80" }, "conflicts with --health-tcp"],
    [
      "a check and none",
      { Healthcheck: { Test: ["NONE"] } },
      { [healthTcp]: "80" },
      "--no-healthcheck conflicts",
    ],
    ["a kind that is none", { Healthcheck: { Test: ["HTTP", "x"] } }, {}, "Unknown healthcheck"],
    ["a command that is none", { Healthcheck: { Test: ["CMD"] } }, {}, "names no command"],
    ["too short a time", { Healthcheck: { StartPeriod: 5 } }, {}, "StartPeriod in Healthcheck"],
    ["negative retries", { Healthcheck: { Retries: -1 } }, {}, "Retries in Healthcheck"],
    ["an unknown action", {}, { [onUnhealthy]: "cry" }, 'invalid --on-unhealthy "cry"'],
    ["a time in words", {}, { [timeout]: "5m" }, "want seconds"],
    [
      "a restart of what is removed",
      { HostConfig: { AutoRemove: true } },
      { [onUnhealthy]: "restart" },
      "'AutoRemove' container",
    ],
  ];
  for (const [what, body, annotations, words] of refused) {
    test(`${what} is refused`, () => {
      expect(() => read(body, annotations)).toThrow(words);
    });
  }
});
