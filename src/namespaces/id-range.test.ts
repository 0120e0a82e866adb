import { describe, expect, test } from "bun:test";
import {
  FIRST_BASE,
  LAST_BASE,
  RANGE_SIZE,
  allocateRange,
  mapText,
  ownerMapText,
  toContainerId,
  toHostId,
} from "./id-range.ts";

describe("allocateRange()", () => {
  test("gives every range once, all in the part that nobody else uses", () => {
    const used = new Set<number>();
    for (let count = 0; count < 4094; count++) {
      const base = allocateRange(used, "engine");
      expect(
        base % RANGE_SIZE === 0 && base >= FIRST_BASE && base <= LAST_BASE && !used.has(base),
      ).toBe(true);
      used.add(base);
    }
    expect(() => allocateRange(used, "engine")).toThrow(/all 4094 are in use/);
  });

  test("starts at different places for different engines, and always at the same for one", () => {
    expect(allocateRange(new Set(), "369a154728c8")).not.toBe(
      allocateRange(new Set(), "984cf69d7fba"),
    );
    expect(allocateRange(new Set(), "a")).toBe(allocateRange(new Set(), "a"));
  });
});

describe("ids", () => {
  test("go from inside to the host and back", () => {
    expect(toHostId(FIRST_BASE, 33)).toBe(FIRST_BASE + 33);
    expect(toContainerId(FIRST_BASE, FIRST_BASE + 33)).toBe(33);
    expect(toContainerId(FIRST_BASE, 33)).toBeUndefined();
    expect(toHostId(0, 70_000)).toBe(70_000);
    expect(() => toHostId(FIRST_BASE, 65_536)).toThrow(/from 0 to 65535/);
  });

  test("map as one line", () => {
    expect(mapText(FIRST_BASE)).toBe("0 1879048192 65536\n");
  });
});

/** What a map makes of an id on disk: the host's id that it shows as. */
function shown(text: string, id: number): number | undefined {
  for (const line of text.trim().split("\n")) {
    const [first = 0, host = 0, count = 0] = line.split(" ").map(Number);
    if (id >= first && id < first + count) return host + id - first;
  }
  return undefined;
}

describe("ownerMapText()", () => {
  test("pairs the owner with the user, and leaves all others as they are", () => {
    const text = ownerMapText({ owner: 1000, user: 0, base: FIRST_BASE });
    expect(shown(text, 1000)).toBe(FIRST_BASE);
    expect(shown(text, 33)).toBe(FIRST_BASE + 33);
    expect(shown(text, 65_535)).toBe(FIRST_BASE + 65_535);
  });

  test("gives nobody inside the files of host root", () => {
    expect(shown(ownerMapText({ owner: 1000, user: 0, base: FIRST_BASE }), 0)).toBeUndefined();
    expect(shown(ownerMapText({ owner: 1000, user: 500, base: FIRST_BASE }), 0)).toBe(FIRST_BASE);
  });

  test("never shows two ids as one", () => {
    for (const map of [
      { owner: 1000, user: 0, base: 0 },
      { owner: 0, user: 1000, base: FIRST_BASE },
      { owner: 5, user: 5, base: FIRST_BASE },
      { owner: 200_000, user: 65_535, base: FIRST_BASE },
    ]) {
      const text = ownerMapText(map);
      const all = Array.from({ length: 65_536 }, (_, id) => shown(text, id)).filter(
        (id) => id !== undefined,
      );
      expect(new Set(all).size).toBe(all.length);
      expect(shown(text, map.owner)).toBe(map.base + map.user);
    }
  });
});
