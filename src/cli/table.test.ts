import { expect, test } from "bun:test";
import { displayWidth, ellipsis, layOut } from "./table.ts";

test("columns are as wide as their widest cell and three spaces, ten at least", () => {
  expect(layOut("ID\tNAMES\tLAST\n1\ta-rather-long-name\tx")).toBe(
    "ID        NAMES                LAST\n1         a-rather-long-name   x",
  );
});

test("what follows the last tab makes no column, and neighbouring lines alone share one", () => {
  expect(layOut("a\tb\nplain\nlonger than ten\tc")).toBe("a         b\nplain\nlonger than ten   c");
  expect(layOut("x\t\tz\n\ty\tz")).toBe("x                   z\n          y         z");
});

test("another layout", () => {
  expect(layOut(" Version:\t1\nServer:", { minimum: 20, padding: 1 })).toBe(
    " Version:           1\nServer:",
  );
});

test("wide letters take two columns and marks none", () => {
  expect(displayWidth("日本")).toBe(4);
  expect(displayWidth("e\u0301")).toBe(1);
  expect(layOut("日本語日本\tx")).toBe("日本語日本   x");
});

test("text is cut to a width, with a sign for what is missing", () => {
  expect(ellipsis("short", 20)).toBe("short");
  expect(ellipsis(`sh -c 'echo "hello <world>"'`, 20)).toBe(`sh -c 'echo "hello …`);
  expect(ellipsis("日本語", 4)).toBe("日…");
});
