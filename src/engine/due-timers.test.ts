import { expect, test } from "bun:test";
import { monotonicMs } from "../kernel/clock.ts";
import { DueTimers } from "./due-timers.ts";

function timersThatTell(): { timers: DueTimers; told: string[]; next: () => Promise<void> } {
  const timers = new DueTimers("tell");
  const told: string[] = [];
  let tell = Promise.withResolvers<void>();
  timers.onDue(async (id) => {
    told.push(id);
    tell.resolve();
    tell = Promise.withResolvers();
  });
  return { timers, told, next: () => tell.promise };
}

test("a timer fires when its time has come, not before", async () => {
  const { timers, told, next } = timersThatTell();
  const dueMs = monotonicMs() + 20;
  timers.set("a", dueMs);
  expect(timers.has("a")).toBe(true);
  await next();
  expect(monotonicMs()).toBeGreaterThanOrEqual(dueMs);
  expect(told).toEqual(["a"]);
  expect(timers.has("a")).toBe(false);
});

test("a time that is past is now", async () => {
  const { timers, told, next } = timersThatTell();
  timers.set("a", 0);
  await next();
  expect(told).toEqual(["a"]);
});

test("a cleared timer does not fire, and a new one replaces the old", async () => {
  const { timers, told, next } = timersThatTell();
  timers.set("a", 0);
  timers.clear("a");
  timers.set("b", 0);
  timers.set("b", monotonicMs() + 5);
  await next();
  expect(told).toEqual(["b"]);
});

test("a time beyond what a timer takes waits on", () => {
  const { timers, told } = timersThatTell();
  timers.set("a", monotonicMs() + 2 ** 40);
  expect(timers.has("a")).toBe(true);
  timers.close();
  expect(timers.has("a")).toBe(false);
  expect(told).toEqual([]);
});
