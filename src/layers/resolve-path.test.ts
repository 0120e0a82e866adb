import { expect, test } from "bun:test";
import { cleanContainerPath } from "./resolve-path.ts";

test("a container's path is seen from its root, and keeps what its end says", () => {
  const cleaned: [asked: string, clean: string][] = [
    ["etc", "/etc"],
    ["/etc/", "/etc/"],
    ["/etc/.", "/etc/."],
    ["../../etc/../x", "/x"],
    [".", "/."],
    ["/", "/"],
    ["a/./b//c", "/a/b/c"],
    ["/a/..", "/"],
  ];
  for (const [asked, clean] of cleaned)
    expect([asked, cleanContainerPath(asked)]).toEqual([asked, clean]);
});
