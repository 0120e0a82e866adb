import { expect, test } from "bun:test";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

function scan(keys: string, ...pieces: string[]): { sent: string; detached: boolean } {
  const scanner = new DetachScanner(parseDetachKeys(keys));
  let sent = "";
  for (const piece of pieces) {
    const { data, detached } = scanner.scan(Buffer.from(piece, "latin1"));
    sent += Buffer.from(data).toString("latin1");
    if (detached) return { sent, detached };
  }
  return { sent, detached: false };
}

test("the default keys detach, and are not sent", () => {
  expect(scan("", "ab\x10\x11cd")).toEqual({ sent: "ab", detached: true });
  expect(scan("", "a\x10", "\x11")).toEqual({ sent: "a", detached: true });
});

test("a beginning of the keys is sent on when something else follows", () => {
  expect(scan("", "\x10x")).toEqual({ sent: "\x10x", detached: false });
  expect(scan("", "\x10\x10\x11")).toEqual({ sent: "\x10", detached: true });
});

test("other keys", () => {
  expect(scan("ctrl-a,d", "\x01d")).toEqual({ sent: "", detached: true });
  expect(scan("x", "x")).toEqual({ sent: "", detached: true });
  expect(parseDetachKeys("ctrl-@,ctrl-[,ctrl-_")).toEqual([0, 27, 31]);
  expect(() => parseDetachKeys("foo")).toThrow(
    "invalid detach keys (foo): Unknown character: 'foo'",
  );
});
