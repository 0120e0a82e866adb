/** Who may import whom. The same table stands in ARCHITECTURE.md; this test holds both, and the code, to it. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const page = 'ARCHITECTURE.md, "Who may import whom"';

/** A room may import itself, Node's and Bun's modules, and these rooms. `api's client` is src/api/client*.ts alone. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  kernel: ["base"],
  namespaces: ["base", "kernel"],
  cgroups: ["base", "kernel"],
  layers: ["base", "kernel"],
  network: ["base", "kernel"],
  volumes: ["base", "kernel"],
  logs: ["base", "kernel"],
  images: ["base", "kernel", "layers"],
  registry: ["base", "images"],
  launch: ["base", "kernel", "namespaces", "cgroups"],
  engine: [
    "base",
    "kernel",
    "namespaces",
    "cgroups",
    "layers",
    "network",
    "volumes",
    "logs",
    "images",
    "registry",
    "launch",
  ],
  build: ["base", "engine", "images", "layers", "registry"],
  api: ["base", "engine", "build", "images", "registry", "network", "volumes", "logs"],
  compose: ["base", "api's client"],
  cli: ["base", "compose", "api's client", "tar's format"],
  oci: ["base", "kernel", "namespaces", "cgroups", "launch"],
};

/** The archive format as bytes: no file is touched in there, and no system call is made. */
const tarFormat = /^src\/(layers\/tar-[^/]*|kernel\/file-name)\.ts$/;

/** The wiring: they may import every room. */
const wiring = /^src\/(main|command-line|serve)\.ts$/;

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The rooms' files with their text; tests beside the code are held to the same table. */
function sourceFiles(): { path: string; text: string }[] {
  return [...new Glob("src/**/*.ts").scanSync({ cwd: root })]
    .toSorted()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

const specifier =
  /(?:^|\n)\s*(?:import|export)\b[^"';]*?\bfrom\s*["'](\.[^"']+)["']|(?:^|\n)\s*import\s*["'](\.[^"']+)["']|\b(?:import|require)\(\s*["'](\.[^"']+)["']|new URL\(\s*["'](\.[^"']+\.ts)["']/g;

function importsOf(file: { path: string; text: string }): Import[] {
  return [...file.text.matchAll(specifier)].map((match) => ({
    from: file.path,
    to: normalize(join(dirname(file.path), match[1] ?? match[2] ?? match[3] ?? match[4] ?? "")),
  }));
}

/** `src/api/client.ts` is in room `api`; a file directly in src/ is in none. */
function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

/** What is wrong with an import, in words, or undefined. */
function violation({ from, to }: Import): string | undefined {
  if (wiring.test(from)) return undefined;
  const room = roomOf(from);
  const target = roomOf(to);
  if (room === undefined) return `${from} is in no room: only the wiring stands in src/ itself`;
  const allowed = mayImport[room];
  if (allowed === undefined) return `${from}: room "${room}" is not in the table`;
  if (target === undefined) {
    // Embedded files: the native parts and what is built from them.
    return to.startsWith("src/")
      ? `${from} imports ${to}: no room may import the wiring`
      : undefined;
  }
  if (target === room || allowed.includes(target)) return undefined;
  if (/^src\/api\/client[^/]*\.ts$/.test(to) && allowed.includes("api's client")) return undefined;
  if (tarFormat.test(to) && allowed.includes("tar's format")) return undefined;
  return `${from} imports ${to}: "${room}" may import ${allowed.join(", ") || "nothing"}`;
}

function violations(files: readonly { path: string; text: string }[]): string[] {
  return files.flatMap(importsOf).flatMap((one) => violation(one) ?? []);
}

/** The rooms of ARCHITECTURE.md's table; its words for groups are spelled out. */
function documentedTable(): Record<string, string[]> {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith("Who may import whom")) ?? "";
  const table: Record<string, string[]> = {};
  for (const [, rooms = "", imports = ""] of section.matchAll(
    /^\| ([a-z, ]+) \| ([a-z', ]+) \|$/gm,
  )) {
    if (rooms === "room") continue;
    const list = imports === "all above" ? Object.keys(table) : names(imports);
    for (const room of names(rooms)) table[room] = imports === "nothing" ? [] : list;
  }
  return table;
}

function names(text: string): string[] {
  return text.split(",").map((name) => name.trim());
}

function sorted(table: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(table).map(([room, rooms]) => [room, [...rooms].toSorted()]),
  );
}

describe("architecture", () => {
  const files = sourceFiles();

  test("the test sees the project's files and their imports", () => {
    expect(files.length).toBeGreaterThan(40);
    expect(files.flatMap(importsOf).length).toBeGreaterThan(60);
  });

  test("each room imports only what the table allows", () => {
    const found = violations(files);
    if (found.length > 0) console.log(`${found.join("\n")}\nThe table and its reasons: ${page}`);
    expect(found).toEqual([]);
  });

  test("a planted violation of each kind is reported", () => {
    const planted = [
      { path: "src/layers/x.ts", text: 'import type { X } from "../cgroups/resources.ts";\n' },
      { path: "src/cli/x.ts", text: 'const { y } = await import("../engine/engine.ts");\n' },
      { path: "src/cli/x.ts", text: 'import { server } from "../api/server.ts";\n' },
      { path: "src/engine/x.ts", text: 'import {\n  a,\n  b,\n} from "../api/client.ts";\n' },
      { path: "src/base/x.ts", text: 'export * from "../kernel/syscall.ts";\n' },
      { path: "src/images/x.ts", text: 'import "../main.ts";\n' },
      { path: "src/elsewhere/x.ts", text: 'import "../base/error.ts";\n' },
      { path: "src/stray.ts", text: 'import "./base/error.ts";\n' },
    ];
    expect(planted.map((file) => violations([file]).length)).toEqual(planted.map(() => 1));
    const client = { path: "src/cli/x.ts", text: 'import { get } from "../api/client-http.ts";\n' };
    expect(violations([client])).toEqual([]);
    const format = { path: "src/cli/x.ts", text: 'import { t } from "../layers/tar-reader.ts";\n' };
    expect(violations([format])).toEqual([]);
  });

  test("ARCHITECTURE.md shows the same table", () => {
    expect(sorted(documentedTable())).toEqual(sorted(mayImport));
  });
});
