import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLogCompressor } from "./log-compressor.ts";

test("a round does every directory, and one that cannot be done hinders no other", async () => {
  const root = mkdtempSync(join(tmpdir(), "tiffin-logs."));
  const names = ["a", "b", "c"];
  for (const name of names) {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, "log.1"), "text\n");
  }
  // A directory in the file's place cannot be replaced by one.
  mkdirSync(join(root, "b", "log.1.gz.tmp"));
  const failed: string[] = [];
  const compressor = startLogCompressor({
    directories: () => names.map((name) => join(root, name)),
    onError: (directory) => failed.push(directory),
  });
  try {
    await Promise.all([compressor.runNow(), compressor.runNow()]);
    expect(failed).toEqual([join(root, "b")]);
    expect(readdirSync(join(root, "a"))).toEqual(["log.1.gz"]);
    expect(readdirSync(join(root, "c"))).toEqual(["log.1.gz"]);
    await compressor.close();
  } finally {
    rmSync(root, { recursive: true });
  }
});
