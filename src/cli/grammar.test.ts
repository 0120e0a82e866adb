import { describe, expect, test } from "bun:test";
import { aliasOf, integer, list, text, toggle } from "./flag.ts";
import { parse } from "./grammar.ts";

const tty = toggle("tty", "t", { short: "t" });
const interactive = toggle("interactive", "i", { short: "i" });
const env = list("env", "e", { short: "e" });
const name = text("name", "n");
const timeout = integer("timeout", "t", { short: "s", initial: 10 });
const time = aliasOf(timeout, "time", "use --timeout instead");
const flags = [tty, interactive, env, name, timeout, time];

function read(words: string, interspersed: boolean = true) {
  const parsed = parse(words === "" ? [] : words.split(" "), flags, { interspersed });
  if (parsed.kind === "help") throw new Error("help");
  return { ...parsed, get: parsed.arguments.get.bind(parsed.arguments) };
}

describe("flags are read as pflag reads them", () => {
  test("long ones, with and without an equals sign", () => {
    expect(read("--name=a --timeout 5").get(name)).toBe("a");
    expect(read("--name= x").get(name)).toBe("");
    expect(read("--timeout 0x10").get(timeout)).toBe(16);
    expect(read("").get(timeout)).toBe(10);
  });

  test("short ones joined, with their value beside them or after", () => {
    const all = read("-ite A=b -eC=d -e=E -s5");
    expect([all.get(tty), all.get(interactive)]).toEqual([true, true]);
    expect(all.get(env)).toEqual(["A=b", "C=d", "E"]);
    expect(all.get(timeout)).toBe(5);
  });

  test("switches may be set to a value", () => {
    expect(read("--tty=false").get(tty)).toBe(false);
    expect(read("--tty=false").arguments.has(tty)).toBe(true);
    expect(() => read("--tty=maybe")).toThrow(
      'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    );
  });

  test("operands end the flags only where they are not mixed", () => {
    expect(read("image -t ls", false).arguments.operands).toEqual(["image", "-t", "ls"]);
    expect(read("image -t ls").arguments.operands).toEqual(["image", "ls"]);
    expect(read("-t -- -i x").arguments.operands).toEqual(["-i", "x"]);
    expect(read("- x").arguments.operands).toEqual(["-", "x"]);
  });

  test("another spelling writes the same value, with a warning when it is old", () => {
    const old = read("--time 3");
    expect(old.get(timeout)).toBe(3);
    expect(old.warnings).toEqual(["Flag --time has been deprecated, use --timeout instead"]);
  });
});

test("mistakes are told in pflag's words", () => {
  const mistakes: Record<string, string> = {
    "--nope": "unknown flag: --nope",
    "-z": "unknown shorthand flag: 'z' in -z",
    "-itz": "unknown shorthand flag: 'z' in -z",
    "--name": "flag needs an argument: --name",
    "-te": "flag needs an argument: 'e' in -e",
    "---x": "bad flag syntax: ---x",
    "--=x": "bad flag syntax: --=x",
    "--timeout x":
      'invalid argument "x" for "-s, --timeout" flag: strconv.ParseInt: parsing "x": invalid syntax',
    "-s 99999999999999999999":
      'invalid argument "99999999999999999999" for "-s, --timeout" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range',
  };
  for (const [words, message] of Object.entries(mistakes)) {
    expect(() => read(words)).toThrow(message);
  }
});

test("help is asked for by --help and, with a warning, by -h", () => {
  expect(parse(["--help"], flags, { interspersed: true }).kind).toBe("help");
  expect(parse(["-h"], flags, { interspersed: true }).warnings).toHaveLength(1);
});
