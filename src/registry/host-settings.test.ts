import { describe, expect, test } from "bun:test";
import { endpointsOf } from "./endpoint.ts";
import { parseRegistrySettings } from "./host-settings.ts";

const parse = (content: unknown): ReturnType<typeof parseRegistrySettings> =>
  parseRegistrySettings(JSON.stringify(content), "/etc/tiffin/registries.json");

describe("parseRegistrySettings()", () => {
  test("takes paths relative to its own place", () => {
    const settings = parse({ hosts: { "r.example": { authority: "r.pem" } } });
    expect(settings.get("r.example")?.authority).toBe("/etc/tiffin/r.pem");
  });

  test.each([
    [[], "the file is no object"],
    [{ hosts: { a: { mirror: [] } } }, 'a has "mirror"'],
    [{ hosts: { a: { mirrors: ["ftp://x"] } } }, '"ftp://x" is no mirror of a'],
    [{ hosts: { a: { plainHttp: 1 } } }, "plainHttp of a is neither true nor false"],
    [{ hosts: { a: { clientKey: "k" } } }, "a has one of clientCertificate and clientKey"],
  ])("refuses %j with the place of the mistake", (content, reason) => {
    expect(() => parse(content)).toThrow(`Cannot read /etc/tiffin/registries.json: ${reason}`);
  });

  test("refuses what is no JSON", () => {
    expect(() => parseRegistrySettings("{", "f")).toThrow("Cannot read f: it is not JSON");
  });
});

describe("endpointsOf()", () => {
  const settings = parse({
    hosts: {
      "docker.io": { mirrors: ["https://m1.example/hub/", "http://m2.example:5000"] },
      "plain.example": { plainHttp: true },
    },
  });

  test("asks the mirrors in their order, then the registry itself", () => {
    const found = endpointsOf("docker.io", settings).map(({ base, isMirror }) => [base, isMirror]);
    expect(found).toEqual([
      ["https://m1.example/hub", true],
      ["http://m2.example:5000", true],
      ["https://registry-1.docker.io", false],
    ]);
  });

  test.each([
    ["registry.example:5000", "https://registry.example:5000"],
    ["plain.example", "http://plain.example"],
    ["localhost:5000", "http://localhost:5000"],
    ["127.0.0.1:5000", "http://127.0.0.1:5000"],
    ["[::1]:5000", "http://[::1]:5000"],
  ])("reaches %s at %s", (domain, base) => {
    expect(endpointsOf(domain, settings).map((endpoint) => endpoint.base)).toEqual([base]);
  });
});
