import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../command-table.ts";
import { complete } from "./complete.ts";
import { operandKind, valueKind } from "./operand-kind.ts";
import { text } from "../flag.ts";

/** Two of each kind, named after it. */
const names = async (kind: string) =>
  [`${kind}-a`, `${kind}-b`].map((value) => ({ value, description: kind }));

async function values(...words: string[]): Promise<string[]> {
  return (await complete(words, names)).candidates.map(({ value }) => value);
}

describe("complete()", () => {
  test("offers commands, nouns and their verbs", async () => {
    expect(await values("con")).toEqual(["container", "context"]);
    expect(await values("container", "ru")).toEqual(["run"]);
    expect(await values("help", "versio")).toEqual(["version"]);
    expect(await values("")).not.toContain("__complete");
    expect(await values("frob", "")).toEqual([]);
    const { candidates } = await complete(["ps"], names);
    expect(candidates).toEqual([{ value: "ps", description: "List containers" }]);
  });

  test("offers the names that an operand stands for, those that are typed already left out", async () => {
    expect(await values("rm", "")).toEqual(["container-a", "container-b"]);
    expect(await values("rm", "container-a", "")).toEqual(["container-b"]);
    expect(await values("container", "rm", "-f", "container-a", "c")).toEqual(["container-b"]);
    expect(await values("stop", "")).toEqual(["running-a", "running-b"]);
    expect(await values("start", "")).toEqual(["stopped-a", "stopped-b"]);
    expect(await values("rmi", "image-a", "")).toEqual(["image-b"]);
    expect(await values("tag", "image-a", "")).toEqual(["image-b"]);
    expect(await values("volume", "rm", "")).toEqual(["volume-a", "volume-b"]);
    expect(await values("inspect", "")).toEqual(["any-a", "any-b"]);
    expect(await values("context", "use", "")).toEqual(["context-a", "context-b"]);
    expect(await values("completion", "")).toEqual(["bash", "zsh", "fish"]);
    expect(await values("logs", "container-a", "")).toEqual([]);
  });

  test("reads flags as the grammar does", async () => {
    expect(await values("run", "-it", "--rm", "-v", "/x:/y", "")).toEqual(["image-a", "image-b"]);
    expect(await values("run", "--name", "x", "--rm=false", "im")).toEqual(["image-a", "image-b"]);
    expect(await values("run", "-ite", "A=b", "")).toEqual(["image-a", "image-b"]);
    expect(await values("-H", "unix:///x", "--debug", "rm", "")).toHaveLength(2);
    // After the image come the words of its own command.
    expect(await values("run", "image-a", "")).toEqual([]);
    expect(await values("run", "image-a", "--r")).toEqual([]);
    expect(await values("exec", "-it", "running-a", "--r")).toEqual([]);
    expect(await values("rm", "--", "--f")).toEqual([]);
    expect(await values("rm", "--", "c")).toHaveLength(2);
  });

  test("offers flags, and the values that a flag may have", async () => {
    expect(await values("run", "--pul")).toEqual(["--pull"]);
    expect(await values("rm", "--")).toContain("--help");
    expect(await values("rm", "-")).toContain("-f");
    expect(await values("run", "--pull", "m")).toEqual(["missing"]);
    expect(await values("run", "--pull=m")).toEqual(["--pull=missing"]);
    expect(await values("run", "--volumes-from", "")).toHaveLength(2);
    expect(await values("run", "--network", "")).toEqual(["network-a", "network-b"]);
    expect(await values("run", "--cgroupns", "")).toEqual(["host", "private"]);
    expect(await values("--log-level", "w")).toEqual(["warn"]);
    expect(await values("--context", "")).toEqual(["context-a", "context-b"]);
    expect(await values("kill", "-s", "TE")).toEqual(["TERM"]);
    expect(await values("run", "--name", "")).toEqual([]);
  });

  test("leaves files to the shell", async () => {
    for (const words of [
      ["load", "-i", ""],
      ["run", "--env-file", ""],
      ["import", ""],
    ]) {
      expect(await complete(words, names)).toEqual({ candidates: [], files: true });
    }
    expect((await complete(["rm", ""], names)).files).toBe(false);
    const copy = await complete(["cp", ""], names);
    expect(copy.candidates.map(({ value }) => value)).toEqual(["container-a:", "container-b:"]);
    expect(copy.files).toBe(true);
  });
});

describe("operandKind()", () => {
  test("knows every word of a usage line that stands for a name", async () => {
    for (const { path, load } of COMMANDS) {
      const { usage } = (await load()).command;
      const named = /\b(CONTAINER|IMAGE|VOLUME|NETWORK|CONTEXT)\b/.exec(usage)?.[1];
      if (named === undefined || usage.startsWith("-")) continue;
      const verb = path.split(" ").at(-1) ?? "";
      const kinds = [0, 1].map((index) => operandKind(verb, usage, index));
      expect({ path, known: kinds.some((kind) => kind !== "none") }).toEqual({ path, known: true });
    }
  });
});

describe("valueKind()", () => {
  test("reads choices out of a flag's help", () => {
    expect(valueKind(text("x", 'One ("a", "b" or "c")'))).toEqual({ words: ["a", "b", "c"] });
    expect(valueKind(text("x", "One (a|b-c)"))).toEqual({ words: ["a", "b-c"] });
    expect(valueKind(text("x", 'A name (default "a")'))).toBe("none");
  });
});
