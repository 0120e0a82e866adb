import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { commandsFor, parseMakefile } from "./makefile.mjs";

const native = join(import.meta.dir, "../native");
const make = Bun.which("make");

/** A directory with the makefile's sources and nothing built. */
function sources() {
  const directory = mkdtempSync(join(tmpdir(), "makefile-test."));
  const makefile = readFileSync(join(native, "Makefile"), "utf8");
  writeFileSync(join(directory, "Makefile"), makefile);
  for (const name of makefile.match(/[\w/]+\.[ch]\b/g) ?? []) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), "");
  }
  return directory;
}

/** The commands without their line breaks and doubled blanks. */
function normal(text) {
  return text
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.replace(/\s+/g, " ").trim())
    .filter((line) => line !== "");
}

test.skipIf(make === null)("the commands for native/Makefile are those that make would run", () => {
  const directory = sources();
  try {
    const { stdout } = Bun.spawnSync(["make", "-n", "-C", directory, "--no-print-directory"]);
    const ours = commandsFor(
      parseMakefile(readFileSync(join(native, "Makefile"), "utf8")),
      "all",
      directory,
    );
    expect(ours.length).toBeGreaterThan(3);
    expect(normal(ours.join("\n")).toSorted()).toEqual(normal(stdout.toString()).toSorted());
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a target that is newer than its sources needs no command", () => {
  const directory = sources();
  try {
    const makefile = parseMakefile("OUT := x\n$(OUT): a.c | b\n\tcc -o $@ $<\nb:\n\tmkdir -p b\n");
    writeFileSync(join(directory, "a.c"), "");
    expect(commandsFor(makefile, "x", directory)).toEqual(["mkdir -p b", "cc -o x a.c"]);
    mkdirSync(join(directory, "b"));
    writeFileSync(join(directory, "x"), "");
    expect(commandsFor(makefile, "x", directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a source that no rule makes is an error", () => {
  expect(() => commandsFor(parseMakefile("x: missing.c\n"), "x", "/nonexistent")).toThrow(
    "missing.c",
  );
});
