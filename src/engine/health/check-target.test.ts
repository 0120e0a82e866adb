import { describe, expect, test } from "bun:test";
import { httpTarget, tcpTarget } from "./check-target.ts";

describe("the target of a check", () => {
  test("by TCP is a port, with or without an address", () => {
    const loopback = ["127.0.0.1", "::1"];
    for (const text of ["5432", ":5432", "localhost:5432"]) {
      expect(tcpTarget(text)).toMatchObject({ addresses: loopback, port: 5432, path: "" });
    }
    expect(tcpTarget("10.0.0.2:80")).toMatchObject({ addresses: ["10.0.0.2"], port: 80 });
    expect(tcpTarget("[fd00::1]:80")).toMatchObject({
      addresses: ["fd00::1"],
      authority: "[fd00::1]:80",
    });
  });

  test("by HTTP has a path", () => {
    const expected: [string, string, string][] = [
      [":8080/ready", "/ready", "localhost:8080"],
      ["8080", "/", "localhost:8080"],
      ["http://127.0.0.1:80/a/b?c=d", "/a/b?c=d", "127.0.0.1:80"],
    ];
    for (const [text, path, authority] of expected) {
      expect(httpTarget(text)).toMatchObject({ path, authority });
    }
  });

  const refused = ["", ":", "0", "65536", "x", "example.com:80", "[::1", "::1:80", "80:80:80"];
  for (const text of refused) {
    test(`${JSON.stringify(text)} is refused`, () => {
      expect(() => tcpTarget(text)).toThrow("Cannot check --health-tcp");
    });
  }

  test("neither TLS nor a path that would be another request is taken", () => {
    expect(() => httpTarget("https://localhost:443/")).toThrow("TLS is not spoken");
    expect(() => httpTarget(":80/a\r\nX: y")).toThrow("an URL cannot");
    expect(() => httpTarget(":80/a b")).toThrow("an URL cannot");
  });
});
