import { expect, test } from "bun:test";
import { resolveUser } from "./container-user.ts";

const files = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/false\nbroken\n",
  group: "root:x:0:\nwww:x:33:\naudio:x:29:www,other\n",
};

test("no user is root with root's home", () => {
  expect(resolveUser("", [], files)).toEqual({ uid: 0, gid: 0, groups: [0], home: "/root" });
});

test("a name brings its group, its supplementary groups and its home", () => {
  expect(resolveUser("www", [], files)).toEqual({
    uid: 33,
    gid: 33,
    groups: [33, 29],
    home: "/var/www",
  });
});

test("a number needs no entry", () => {
  expect(resolveUser("1000:50", ["audio", "77"], files)).toEqual({
    uid: 1000,
    gid: 50,
    groups: [50, 29, 77],
    home: "/",
  });
});

test("an explicit group takes the place of the user's own ones", () => {
  expect(resolveUser("www:root", [], files).groups).toEqual([0]);
});

test("unknown names are refused with docker's words", () => {
  expect(() => resolveUser("nobody", [], files)).toThrow("no matching entries in passwd file");
  expect(() => resolveUser("0:staff", [], files)).toThrow("no matching entries in group file");
  expect(() => resolveUser("4294967296", [], files)).toThrow("ids must be in range");
});

test("an entry with an id that the kernel would cut off is refused", () => {
  const passwd = "evil:x:4294967296:0::/:/bin/sh\n";
  expect(() => resolveUser("evil", [], { ...files, passwd })).toThrow("ids must be in range");
});
