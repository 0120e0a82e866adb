import { describe, expect, test } from "bun:test";
import {
  followedPath,
  keepTrailing,
  planCopy,
  rebase,
  splitCopyArgument,
  splitEntry,
} from "./copy-path.ts";

describe("an argument of cp", () => {
  test("names a container before its first colon, unless it starts as a path", () => {
    expect(splitCopyArgument("web:/etc")).toEqual({ container: "web", path: "/etc" });
    expect(splitCopyArgument("web:a:b")).toEqual({ container: "web", path: "a:b" });
    for (const path of ["/a:b", "./a:b", "../a:b", "a", "-"]) {
      expect(splitCopyArgument(path)).toEqual({ container: "", path });
    }
  });

  test("keeps what its end says of a directory", () => {
    expect(keepTrailing("/a", "a/")).toBe("/a/");
    expect(keepTrailing("/a", "a/.")).toBe("/a/.");
    expect(keepTrailing("/", "/.")).toBe("/.");
    expect(splitEntry("/a/b/")).toEqual({ directory: "/a", base: "b" });
    expect(splitEntry("/a/b/.")).toEqual({ directory: "/a/b", base: "." });
    expect(splitEntry("/")).toEqual({ directory: "/", base: "/" });
    expect(followedPath("/x/link/.", "/real")).toEqual({ path: "/real/.", rename: "" });
    expect(followedPath("/x/link", "/real")).toEqual({ path: "/real", rename: "link" });
  });
});

describe("a copy", () => {
  const source = { path: "/s/dir", isDirectory: true, rename: "" };

  test("goes into a directory that is there, and becomes one that is not", () => {
    const there = { path: "/d", exists: true, isDirectory: true };
    expect(planCopy(source, there)).toEqual({ directory: "/d", base: "dir" });
    const missing = { path: "/d/new", exists: false, isDirectory: false };
    expect(planCopy(source, missing)).toEqual({ directory: "/d", base: "new" });
  });

  test("cannot put a directory where a file is, nor a file where a directory is asked for", () => {
    expect(() => planCopy(source, { path: "/f", exists: true, isDirectory: false })).toThrow(
      "cannot copy directory",
    );
    const file = { path: "/s/file", isDirectory: false, rename: "" };
    expect(() => planCopy(file, { path: "/no/", exists: false, isDirectory: false })).toThrow(
      "no such directory",
    );
  });

  test("renames the first name of an entry alone", () => {
    expect(rebase("a/b", "a", "x")).toBe("x/b");
    expect(rebase("ab/b", "a", "x")).toBe("ab/b");
    expect(rebase("/etc/b", "/", "x")).toBe("x/etc/b");
    expect(rebase("./b", ".", "x")).toBe("x/b");
    expect(rebase("a", "a", "x")).toBe("x");
  });
});
