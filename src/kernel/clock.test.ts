import { expect, test } from "bun:test";
import { monotonicMs, monotonicNano } from "./clock.ts";

test("milliseconds and nanoseconds of the monotonic clock are of one clock", async () => {
  for (const pauseMs of [0, 50]) {
    await Bun.sleep(pauseMs);
    const before = Number(monotonicNano()) / 1e6;
    const between = monotonicMs();
    const after = Number(monotonicNano()) / 1e6;
    expect(between).toBeGreaterThan(before - 1);
    expect(between).toBeLessThan(after + 1);
  }
});
