import { describe, expect, test } from "bun:test";
import { Template, TemplateError } from "./template.ts";
import { GoMap, GoStruct, NilPointer } from "./value.ts";

const DATA = new GoStruct("*formatter.ContainerContext", {
  ID: () => "8b181a0514de",
  Names: () => "web",
  Label: (name: unknown) => (name === "a.b" ? "1" : ""),
  Config: new GoStruct("Config", {
    Cmd: ["sh", "-c", "x y"],
    Labels: new GoMap("map[string]string", "", { b: "<2>", a: "1" }),
    Health: new NilPointer("*Health"),
    Memory: 67108864,
    Ratio: 0.00001,
  }),
  Ports: { "80/tcp": [{ HostPort: "8080" }], "53/udp": null },
  Big: 1795507521123456789n,
});

function run(source: string, data: unknown = DATA): string {
  return new Template(source).run(data);
}

/** Each was run through docker 28.2.2, whose words these are. */
const RESULTS: Readonly<Record<string, string>> = {
  "{{.ID}} {{.Names}}": "8b181a0514de web",
  '{{.Label "a.b"}}|{{.Label "x"}}|{{"a.b" | .Label}}': "1||1",
  "{{json .Config.Labels}}": '{"a":"1","b":"<2>"}',
  "{{.Config.Labels}} {{.Config.Cmd}} {{.Config.Health}}": "map[a:1 b:<2>] [sh -c x y] <nil>",
  '{{.Config.Labels.zz}}|{{index .Config.Labels "zz"}}|{{.Ports.nope}}': "<no value>||<no value>",
  "{{.Config.Memory}} {{.Config.Ratio}} {{.Big}}": "67108864 1e-05 1795507521123456789",
  '{{(index (index .Ports "80/tcp") 0).HostPort}}': "8080",
  "{{range $p, $c := .Ports}}{{$p}}={{range $c}}{{.HostPort}}{{else}}none{{end}} {{end}}":
    "53/udp=none 80/tcp=8080 ",
  '{{range $i, $c := split "a,b,c" ","}}{{if eq $i 1}}{{continue}}{{end}}{{$i}}{{$c}};{{end}}':
    "0a;2c;",
  "{{range 3}}{{.}}{{end}}": "012",
  '{{if eq .ID "x"}}a{{else if .ID}}b{{else}}c{{end}}': "b",
  "{{with $x := .ID}}{{$x}}{{else}}no{{end}}{{- /* c */ -}}  z": "8b181a0514dez",
  "{{with .Config.Health}}x{{else}}none{{end}}": "none",
  'a  {{- " b " -}}  c': "a b c",
  '{{printf "%d %s %v %5s|%-5s|%05d %q" 1 "a" true "x" "y" 42 "q\\"x"}}':
    '1 a true     x|y    |00042 "q\\"x"',
  '{{printf "%d" "x"}} {{printf "%s"}} {{printf "a" 1}}':
    "%!d(string=x) %!s(MISSING) a%!(EXTRA int=1)",
  '{{printf "%.2f %x %X %t %%" 1.5 255 "hi" true}}': "1.50 ff 6869 true %",
  '{{slice .ID 0 3}} {{index .ID 0}} {{eq .ID "x" "8b181a0514de"}} {{and 1 0}} {{or 0 "a"}} {{not 1}} {{len .Names}}':
    "8b1 56 true 0 a false 3",
  '{{title "ab cd"}} {{lower "AB"}} {{split "a,b" ","}} {{truncate .ID 3}} {{pad "x" 1 2}}|{{upper "é"}}':
    "Ab Cd ab [a b] 8b1  x  |É",
  '{{html "<a>&"}} {{js "a\'b"}} {{urlquery "a b/c"}} {{print 1 2 "a" "b" 3}}':
    "&lt;a&gt;&amp; a\\'b a+b%2Fc 1 2ab3",
  "{{lt 1 2}} {{ge 2 2}} {{ne 1 2}} {{1.5}} {{1e3}} {{0x1f}} {{'a'}} {{true}}":
    "true true true 1.5 1000 31 97 true",
  '{{join .Config.Cmd "|"}} {{len .Ports}}': "sh|-c|x y 2",
  "{{$x := 1}}{{$x = 2}}{{$x}}{{$.ID}}": "28b181a0514de",
  "{{.ID | }}": "8b181a0514de",
  '{{`raw\\n`}} {{"tab\\t\\u00e9"}}': "raw\\n tab\té",
};

test("templates give what docker gives", () => {
  for (const [source, result] of Object.entries(RESULTS)) expect(run(source)).toBe(result);
});

const MISTAKES: Readonly<Record<string, string>> = {
  "{{.ID": "template: :1: unclosed action",
  "{{if}}x{{end}}": "template: :1: missing value for if",
  "{{end}}": "template: :1: unexpected {{end}}",
  "{{else}}": "template: :1: unexpected {{else}}",
  "{{if .ID}}": "template: :1: unexpected EOF",
  "{{foo .ID}}": 'template: :1: function "foo" not defined',
  "{{$x}}": 'template: :1: undefined variable "$x"',
  "{{.ID %}}": 'template: :1: unexpected "%" in operand',
  '{{"abc}}': "template: :1: unterminated quoted string",
  "{{(.ID}}": "template: :1: unclosed left paren",
  "{{.ID)}}": "template: :1: unexpected right paren",
  "{{1x}}": 'template: :1: bad number syntax: "1x"',
  "{{/* x": "template: :1: unclosed comment",
  "{{1 | 2}}": "template: :1: non executable command in pipeline stage 2",
  "{{break}}": "template: :1: {{break}} outside {{range}}",
  "a\n\n{{nope}}": 'template: :3: function "nope" not defined',
  "{{.Nope}}": `template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext`,
  "x\n {{.Nope}}": `template: :2:3: executing "" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext`,
  "{{.ID.X}}": `template: :1:5: executing "" at <.ID.X>: can't evaluate field X in type string`,
  "{{.Config.Health.Status}}":
    'template: :1:9: executing "" at <.Config.Health.Status>: nil pointer evaluating *Health.Status',
  "{{.Label}}":
    'template: :1:2: executing "" at <.Label>: wrong number of args for Label: want 1 got 0',
  "{{nil}}": 'template: :1:2: executing "" at <nil>: nil is not a command',
  "{{index .Config.Cmd 7}}":
    'template: :1:2: executing "" at <index .Config.Cmd 7>: error calling index: index out of range: 7',
  "{{upper .Config.Memory}}":
    'template: :1:15: executing "" at <.Config.Memory>: wrong type for value; expected string; got int',
  "{{upper}}":
    'template: :1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 0',
  '{{eq 1 "a"}}':
    'template: :1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison',
  "{{len 3}}": 'template: :1:2: executing "" at <len 3>: error calling len: len of type int',
};

test("mistakes are told in Go's words", () => {
  for (const [source, message] of Object.entries(MISTAKES)) {
    expect(() => run(source)).toThrow(message);
  }
});

describe("maps", () => {
  test("a key that is not there is no value, or an error when asked for", () => {
    expect(run("{{.Foo}} {{.A.B}}", { A: { B: null } })).toBe("<no value> <no value>");
    expect(() => new Template("{{.Foo}}").run({}, { missingKeyIsError: true })).toThrow(
      'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"',
    );
  });

  test("json keeps Go's order and escapes", () => {
    expect(run("{{json .}}", { b: 1.5, a: ["<", "\u2028"], c: { z: null, y: true } })).toBe(
      '{"a":["<","\\u2028"],"b":1.5,"c":{"y":true,"z":null}}',
    );
  });
});

test("a header leaves what docker's functions would change", () => {
  const header = new GoStruct("header", { Names: "NAMES" });
  expect(new Template("{{lower .Names}} {{pad .Names 1 0}}").run(header, { asHeader: true })).toBe(
    "NAMES  NAMES",
  );
});

test("no template breaks the engine in another way than by a TemplateError", () => {
  const words = [
    "{{",
    "}}",
    "{{-",
    " -}}",
    ".",
    ".ID",
    ".Config",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    " ",
    "\n",
    "if",
    "else",
    "end",
    "range",
    "with",
    "break",
    "json",
    "printf",
    "index",
    "eq",
    "and",
    '"%d"',
    '"',
    "`",
    "'a'",
    "1",
    "-",
    "nil",
    "true",
    "/*",
    "*/",
    "é",
  ];
  let seed = 42;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  for (let round = 0; round < 20_000; round += 1) {
    let source = random(2) === 0 ? "{{" : "";
    for (let count = random(14); count >= 0; count -= 1) source += words[random(words.length)];
    if (random(2) === 0) source += "}}";
    try {
      run(source);
    } catch (error) {
      if (!(error instanceof TemplateError))
        throw new Error(JSON.stringify(source), { cause: error });
    }
  }
});
