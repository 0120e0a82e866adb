import { expect, test } from "bun:test";
import { TiffinError } from "./error.ts";
import { explainExhaustion } from "./exhaustion.ts";

test("an error for want of space is one that a client can tell", () => {
  const cause = Object.assign(new Error("ENOSPC: no space left on device, write"), {
    code: "ENOSPC",
  });
  expect(explainExhaustion(cause)).toMatchObject({
    code: "resource-exhausted",
    message: "Cannot go on: no space left on the disk",
    details: { error: cause.message },
  });
});

test("all other errors stay what they are", () => {
  const errors = [new TiffinError("conflict", "x"), new Error("x"), "x", undefined];
  expect(errors.map((error) => explainExhaustion(error))).toEqual(errors);
});
