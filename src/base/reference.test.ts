import { describe, expect, test } from "bun:test";
import { digestOf } from "./hash.ts";
import { isTiffinError, messageOf } from "./error.ts";
import {
  familiarName,
  familiarReference,
  fullReference,
  isImageId,
  isTag,
  parseReference,
  withDefaultTag,
} from "./reference.ts";

const DIGEST = digestOf("x");

describe("parseReference", () => {
  const full: Record<string, string> = {
    debian: "docker.io/library/debian",
    "debian:12": "docker.io/library/debian:12",
    "team/app": "docker.io/team/app",
    "docker.io/debian": "docker.io/library/debian",
    "index.docker.io/debian": "docker.io/library/debian",
    "index.docker.io/team/app:1": "docker.io/team/app:1",
    "localhost/app": "localhost/app",
    "localhost:5000/team/app:v1.2": "localhost:5000/team/app:v1.2",
    "registry.example.com/a/b/c": "registry.example.com/a/b/c",
    "127.0.0.1:5000/a": "127.0.0.1:5000/a",
    "[fc00::1]:5000/a:b": "[fc00::1]:5000/a:b",
    "Host/app": "Host/app",
    [`debian@${DIGEST}`]: `docker.io/library/debian@${DIGEST}`,
    [`debian:12@${DIGEST}`]: `docker.io/library/debian:12@${DIGEST}`,
    "a--b__c/e_f.g": "docker.io/a--b__c/e_f.g",
  };
  for (const [text, expected] of Object.entries(full)) {
    test(`reads ${text.slice(0, 40)}`, () => {
      expect(fullReference(parseReference(text))).toBe(expected);
    });
  }

  const bad: Record<string, string> = {
    "": "invalid reference format",
    ":tag": "invalid reference format",
    "a b": "invalid reference format",
    "a:": "invalid reference format",
    "a:b:c": "invalid reference format",
    "a//b": "invalid reference format",
    "/a": "invalid reference format",
    "a/": "invalid reference format",
    "-a": "invalid reference format",
    "a..b": "invalid reference format",
    a___b: "invalid reference format",
    "a\nb": "invalid reference format",
    "debian:12\n": "invalid reference format",
    [`a:${"t".repeat(129)}`]: "invalid reference format",
    "a@sha256:abc": "invalid reference format",
    Debian: "invalid reference format: repository name (library/Debian) must be lowercase",
    "host.io/Team/app": "invalid reference format: repository name (Team/app) must be lowercase",
    [DIGEST.slice(7)]:
      `invalid repository name (${DIGEST.slice(7)}), cannot specify 64-byte hexadecimal strings`,
    ["a".repeat(260)]: "repository name must not be more than 255 characters",
    [`a@md5:${"0".repeat(32)}`]: 'unsupported digest algorithm: "md5"',
    [`a@sha256:${"0".repeat(32)}`]: `invalid checksum digest length: "sha256:${"0".repeat(32)}"`,
  };
  for (const [text, message] of Object.entries(bad)) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      let error: unknown;
      try {
        parseReference(text);
      } catch (caught) {
        error = caught;
      }
      expect(isTiffinError(error, "invalid-argument")).toBe(true);
      expect(messageOf(error)).toBe(message);
    });
  }

  test("reads back what the familiar form prints, and fails in known ways only, for random text", () => {
    const parts = [
      "a",
      "b9",
      ".",
      "_",
      "-",
      "/",
      ":",
      "@",
      "docker.io",
      "library",
      "localhost",
      "A",
      "[",
      "]",
      " ",
      DIGEST,
      "5000",
      "é",
      "\0",
    ];
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    let accepted = 0;
    for (let round = 0; round < 50_000; round += 1) {
      let text = "";
      for (let length = random(9); length >= 0; length -= 1) text += parts[random(parts.length)];
      try {
        const reference = parseReference(text);
        accepted += 1;
        expect(parseReference(familiarReference(reference))).toEqual(reference);
        expect(parseReference(fullReference(reference))).toEqual(reference);
      } catch (error) {
        if (!isTiffinError(error, "invalid-argument")) throw error;
      }
    }
    expect(accepted).toBeGreaterThan(1000);
  });

  test("takes linear time on hostile text", () => {
    expect(() => parseReference(`${"a-".repeat(50_000)}!`)).toThrow("invalid reference format");
    expect(() => parseReference(`${"a.".repeat(50_000)}/x!`)).toThrow("invalid reference format");
  });
});

test("familiarName() shortens what docker shortens", () => {
  expect(familiarName(parseReference("docker.io/library/debian"))).toBe("debian");
  expect(familiarName(parseReference("docker.io/team/app"))).toBe("team/app");
  expect(familiarName(parseReference("docker.io/library/a/b"))).toBe("library/a/b");
  expect(familiarName(parseReference("docker.io/foo.bar/app"))).toBe("docker.io/foo.bar/app");
  expect(familiarReference(parseReference("localhost:5000/a:1"))).toBe("localhost:5000/a:1");
});

test("withDefaultTag() adds latest only to a bare name", () => {
  expect(familiarReference(withDefaultTag(parseReference("debian")))).toBe("debian:latest");
  expect(familiarReference(withDefaultTag(parseReference("debian:12")))).toBe("debian:12");
  expect(withDefaultTag(parseReference(`debian@${DIGEST}`)).tag).toBeUndefined();
});

test("isTag() and isImageId() tell the forms apart", () => {
  expect([isTag("v1.2_3-x"), isTag(".x"), isTag(""), isTag("a/b")]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect([isImageId(DIGEST), isImageId(DIGEST.slice(7)), isImageId("abc")]).toEqual([
    true,
    true,
    false,
  ]);
});
