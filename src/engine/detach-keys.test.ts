import { expect, test } from "bun:test";
import { DetachWatcher, parseDetachKeys } from "./detach-keys.ts";

test("the default detach keys are ctrl-p, ctrl-q", () => {
  expect([...parseDetachKeys("")]).toEqual([16, 17]);
});

test("an unknown key is refused", () => {
  expect(() => parseDetachKeys("ctrl-1")).toThrow('unknown key "ctrl-1"');
});

test("keys of a sequence that is not finished are passed on in order", () => {
  const watcher = new DetachWatcher(parseDetachKeys(""));
  expect([...watcher.take(Uint8Array.of(97, 16)).pass]).toEqual([97]);
  expect([...watcher.take(Uint8Array.of(98)).pass]).toEqual([16, 98]);
  expect([...watcher.take(Uint8Array.of(16, 16)).pass]).toEqual([16]);
  expect(watcher.take(Uint8Array.of(17)).detached).toBe(true);
});
