import { expect, test } from "bun:test";
import { freedBytes, type LayerUse, sharedBytes, totalBytes } from "./layer-use.ts";

const layer = (diffId: string, sizeBytes: number, ...imageIds: string[]): LayerUse => ({
  diffId,
  sizeBytes,
  imageIds,
});

const LAYERS = [layer("base", 100, "a", "b"), layer("top", 10, "a"), layer("other", 1, "b")];

test("all layers count once", () => {
  expect(totalBytes(LAYERS)).toBe(111);
  expect(totalBytes([])).toBe(0);
});

test("shared is what another image has too", () => {
  expect([...sharedBytes(LAYERS)]).toEqual([
    ["a", 100],
    ["b", 100],
  ]);
  expect(sharedBytes([layer("one", 5, "c")]).get("c")).toBe(0);
});

test("removing images frees the layers that only they have", () => {
  expect(freedBytes(LAYERS, new Set(["a"]))).toBe(10);
  expect(freedBytes(LAYERS, new Set(["a", "b"]))).toBe(111);
  expect(freedBytes(LAYERS, new Set())).toBe(0);
});
