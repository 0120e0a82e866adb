import { expect, test } from "bun:test";
import { compareNaturally } from "./natural-order.ts";

test("numbers in names are sorted by their value", () => {
  const names = ["v10", "v2", "v1", "a", "v02", "v2b", ""];
  expect(names.toSorted(compareNaturally)).toEqual(["", "a", "v1", "v2", "v2b", "v02", "v10"]);
});
