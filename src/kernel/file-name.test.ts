import { expect, test } from "bun:test";
import { decodeFileName, encodeFileName } from "./file-name.ts";

test("a name in UTF-8 is its text", () => {
  expect(decodeFileName(Buffer.from("Überlegung 😀"))).toBe("Überlegung 😀");
  expect(encodeFileName("Überlegung 😀")).toEqual(Buffer.from("Überlegung 😀"));
});

test("a byte order mark is part of the name", () => {
  const bytes = Buffer.from("efbbbf61", "hex");
  expect(encodeFileName(decodeFileName(bytes)).toString("hex")).toBe("efbbbf61");
});

test("bytes that are no UTF-8 come back as they were", () => {
  const cases = [
    "ff",
    "61ff62",
    "c3",
    "c328",
    "eda080",
    "f0288cbc",
    "f8888080",
    "c3a9ffc3a9",
    "e282",
  ];
  for (const hex of cases) {
    const name = decodeFileName(Buffer.from(hex, "hex"));
    expect(encodeFileName(name).toString("hex")).toBe(hex);
  }
});

test("every pair of bytes comes back as it was", () => {
  for (let first = 0; first < 256; first += 3) {
    for (let second = 0; second < 256; second++) {
      const bytes = Buffer.from([first, second, 0x41]);
      expect(encodeFileName(decodeFileName(bytes)).equals(bytes)).toBe(true);
    }
  }
});
