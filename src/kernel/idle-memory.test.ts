import { expect, test } from "bun:test";
import { programTextAreas, releaseProgramText } from "./idle-memory.ts";

test("only executable mappings of files are program text", () => {
  const maps = [
    "00400000-00500000 r-xp 00001000 fe:00 1234                               /usr/bin/x",
    "00500000-00600000 r--p 00101000 fe:00 1234                               /usr/bin/x",
    "00600000-00700000 rw-p 00201000 fe:00 1234                               /usr/bin/x",
    "00700000-00800000 r-xp 00000000 00:00 0                                  [vdso]",
    "00800000-00900000 rwxp 00000000 00:00 0 ",
  ].join("\n");
  expect(programTextAreas(maps)).toEqual([{ start: 0x400000n, bytes: 0x100000n }]);
});

test("a process goes on after its program text was let go of", () => {
  releaseProgramText();
  expect(Math.max(3, 1, 2)).toBe(3);
});
