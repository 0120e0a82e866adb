import { expect, test } from "bun:test";
import { hexOf, isDigest, parseDigest, shortId } from "./digest.ts";
import { digestOf, startDigest } from "./hash.ts";

const EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test("digestOf() and startDigest() agree", () => {
  expect(digestOf("") as string).toBe(EMPTY);
  const pieces = startDigest();
  pieces.update(Buffer.from("a"));
  pieces.update(Buffer.from("bc"));
  expect(pieces.digest()).toBe(digestOf("abc"));
});

test("parseDigest() says what is wrong in docker's words", () => {
  expect(parseDigest(EMPTY) as string).toBe(EMPTY);
  expect(() => parseDigest("abc")).toThrow('invalid checksum digest format: "abc"');
  expect(() => parseDigest("sha256:abc")).toThrow("invalid checksum digest length");
  expect(() => parseDigest(`sha256:${"G".repeat(64)}`)).toThrow("invalid checksum digest format");
  expect(() => parseDigest(`sha512:${"0".repeat(128)}`)).toThrow("unsupported digest algorithm");
  expect(isDigest(`${EMPTY}\n`)).toBe(false);
});

test("hexOf() and shortId() take the algorithm off", () => {
  expect(hexOf(EMPTY)).toHaveLength(64);
  expect(shortId(EMPTY)).toBe("e3b0c44298fc");
});
