import { describe, expect, test } from "bun:test";
import { COMMANDS, find } from "./command-table.ts";
import { describe as describeError } from "./failure.ts";
import { TiffinError } from "../base/error.ts";
import { parse } from "./grammar.ts";
import { parseHost } from "./host.ts";
import { wrongCount } from "./program.ts";
import { testProgram } from "./program-fixture.ts";

const run = (...words: string[]): ReturnType<typeof testProgram> =>
  testProgram(words, { TIFFIN_HOST: "tcp://127.0.0.1:1" });

describe("the command line as a whole", () => {
  test("version and help", async () => {
    expect(await run("--version")).toMatchObject({ status: 0, out: "Tiffin version 1.2.3\n" });
    const help = await run("--help");
    expect(help.out).toContain(
      "Common Commands:\n  run         Create and run a new container from an image\n",
    );
    expect(await run()).toEqual(help);
    expect((await run("container")).out).toContain("Usage:  tiffin container COMMAND");
    expect((await run("help", "ps")).out).toBe((await run("ps", "--help")).out);
  });

  test("mistakes have docker's words and exit statuses", async () => {
    expect(await run("run", "--nope")).toEqual({
      status: 125,
      out: "",
      error:
        "unknown flag: --nope\n\nUsage:  tiffin run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'tiffin run --help' for more information\n",
    });
    expect(await run("rm")).toMatchObject({
      status: 1,
      error:
        "tiffin: 'tiffin rm' requires at least 1 argument\n\nUsage:  tiffin rm [OPTIONS] CONTAINER [CONTAINER...]\n\nRun 'tiffin rm --help' for more information\n",
    });
    expect((await run("ps", "x")).error).toStartWith("tiffin: 'tiffin ps' accepts no arguments\n");
    expect((await run("logs", "a", "b")).error).toStartWith(
      "tiffin: 'tiffin logs' requires 1 argument\n",
    );
    expect((await run("images", "a", "b")).error).toContain("requires at most 1 argument\n");
    expect(await run("frob")).toMatchObject({
      status: 1,
      error: "tiffin: unknown command: tiffin frob\n\nRun 'tiffin --help' for more information\n",
    });
    expect((await run("container", "frob")).status).toBe(1);
    expect((await run("--nope", "ps")).status).toBe(125);
    expect(await run("run", "Bad")).toMatchObject({
      status: 125,
      error:
        "tiffin: invalid reference format: repository name (library/Bad) must be lowercase\n\nRun 'tiffin run --help' for more information\n",
    });
    expect((await run("ps", "--format", "{{.Nope}}")).error).toBe(
      `failed to execute template: template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext\n`,
    );
    expect((await run("inspect", "--format", "{{", "x")).status).toBe(64);
  });

  test("an engine that is not there is named", async () => {
    expect(await run("ps")).toMatchObject({
      status: 1,
      error:
        'tiffin: Cannot connect to the Tiffin engine at tcp://127.0.0.1:1. Is the engine running?\nhint: Start it with "tiffin engine", or check --host and TIFFIN_HOST\n',
    });
    expect((await run("run", "image")).status).toBe(125);
  });

  test("the engine gets its places, the socket below the run directory", async () => {
    expect((await run("--root", "/r", "--run", "/x", "--host", "unix:///s", "engine")).out).toBe(
      '{"root":"/r","run":"/x","socket":"/s"}',
    );
  });

  test("the engine gets its firewall's policy", async () => {
    const engine = ["--root", "/r", "--run", "/x", "--host", "unix:///s", "engine"];
    expect((await run(...engine, "--firewall", "host")).out).toBe(
      '{"root":"/r","run":"/x","socket":"/s","firewall":"host"}',
    );
    expect((await run(...engine, "--help")).out).toContain("--firewall string");
    expect((await run(...engine, "--frob")).error).toContain("unknown flag: --frob");
    expect((await run(...engine, "x")).error).toContain("'tiffin engine' accepts no arguments");
  });
});

test("every command describes itself, and no flag's letter is taken twice", async () => {
  for (const entry of COMMANDS) {
    const { command } = await entry.load();
    expect(command.summary).not.toEndWith(".");
    const letters = command.flags.map(({ short }) => short).filter((short) => short !== undefined);
    expect(new Set(letters).size).toBe(letters.length);
    const names = command.flags.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const help = await run(...entry.path.split(" "), "--help");
    expect(help.out).toStartWith(`Usage:  tiffin ${`${entry.path} ${command.usage}`.trimEnd()}\n`);
    expect(Math.max(...help.out.split("\n").map((line) => line.length))).toBeLessThan(130);
  }
});

/** The words of each `tiffin …` in lines of shell; what is quoted is one word. */
function commandsIn(examples: string): string[][] {
  return examples
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => /\$\((tiffin [^)]*)\)/.exec(line)?.[1] ?? line)
    .flatMap((line) => line.split(/ \| | ssh other /))
    .filter((part) => part.startsWith("tiffin "))
    .map((part) => {
      const words = part.replace(/[<>].*$/, "").match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
      return words.slice(1).map((word) => word.replaceAll(/['"]/g, ""));
    });
}

test("every command has examples, and each of them is a command line that the grammar takes", async () => {
  for (const { path, hidden, load } of COMMANDS) {
    const { command } = await load();
    if (hidden === true) continue;
    const examples = commandsIn(command.examples ?? "");
    expect({ path, examples: examples.length > 0 }).toEqual({ path, examples: true });
    for (const words of examples) {
      const found = find(words.slice(words[0] === "--context" ? 2 : 0));
      expect({ path, words, found: found !== undefined }).toEqual({ path, words, found: true });
      const it = await found?.entry.load();
      const interspersed = it?.command.interspersed ?? true;
      const parsed = parse(found?.rest ?? [], it?.command.flags ?? [], { interspersed });
      expect({ words, kind: parsed.kind }).toEqual({ words, kind: "arguments" });
      const count = parsed.kind === "arguments" ? parsed.arguments.operands.length : -1;
      const wrong = wrongCount(it?.command.operands ?? { atLeast: 0 }, count);
      expect({ words, wrong }).toEqual({ words, wrong: undefined });
    }
  }
});

test("hosts are sockets or addresses", () => {
  expect(parseHost("unix:///run/x.sock")).toEqual({ path: "/run/x.sock" });
  expect(parseHost("tcp://[::1]:2375")).toEqual({ host: "::1", port: 2375 });
  expect(() => parseHost("ssh://x")).toThrow("Cannot parse host");
});

test("a hint stands on a line of its own", () => {
  const error = new TiffinError("not-found", "No such image: x", { hint: "Load it" });
  expect(describeError(error)).toBe("tiffin: No such image: x\nhint: Load it");
});
