import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chainId } from "./chain-id.ts";

const sha256 = (text: string): string =>
  `sha256:${createHash("sha256").update(text).digest("hex")}`;

test("the chain ID of one layer is its diff ID", () => {
  expect(chainId(["sha256:a"])).toBe("sha256:a");
});

test("each further layer hashes the chain below and its own diff ID", () => {
  const two = sha256("sha256:a sha256:b");
  expect(chainId(["sha256:a", "sha256:b"])).toBe(two);
  expect(chainId(["sha256:a", "sha256:b", "sha256:c"])).toBe(sha256(`${two} sha256:c`));
});
