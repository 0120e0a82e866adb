import { describe, expect, test } from "bun:test";
import { parseChallenge } from "./challenge.ts";

describe("parseChallenge()", () => {
  test("reads what docker's registries ask for", () => {
    const field =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull,push"';
    expect(parseChallenge(field)).toEqual({
      scheme: "bearer",
      realm: "https://auth.docker.io/token",
      service: "registry.docker.io",
      scope: "repository:library/debian:pull,push",
    });
  });

  test("reads Basic, in any case, and quoted quotes", () => {
    expect(parseChallenge('basic REALM="a \\"b\\""')).toEqual({ scheme: "basic", realm: 'a "b"' });
  });

  test("prefers Bearer where there are several", () => {
    const field = 'Basic realm="x", Bearer realm="https://a/t",service=s';
    expect(parseChallenge(field)).toMatchObject({ scheme: "bearer", service: "s" });
  });

  test.each(["", "Negotiate", "=,=", 'Digest realm="x", nonce="y"'])("passes %j over", (field) => {
    expect(parseChallenge(field)).toBeUndefined();
  });
});
