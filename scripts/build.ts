/**
 * Makes the release: one executable, build/tiffin, that holds the command line, the engine, the addon, the launcher and
 * the built-in image. Run by `npm run build`, after the setup.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { graftFront } from "./graft-front.ts";

const root = join(import.meta.dir, "..");
const output = join(root, "build/tiffin");
const front = join(root, "native/build/front");
const unfinished = `${output}.new`;

/** The wiring, and the code of each thread: threads are found by their embedded names. */
const entrypoints = [
  "src/main.ts",
  "src/kernel/blocking-worker.ts",
  "src/layers/unpack-worker.ts",
  "src/layers/tree-worker.ts",
];

function run(command: string[], what: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root });
  if (exitCode !== 0) {
    console.error(`build: cannot ${what}:\n${stdout.toString()}${stderr.toString()}`);
    process.exit(1);
  }
  return stdout.toString();
}

/** A name that two builds share only when they are of the same sources: a front speaks to no other build's engine. */
function buildId(): string {
  const hash = new Bun.CryptoHasher("sha256");
  const sources = [...new Glob("{src,native}/**/*.{ts,c,h}").scanSync(root), "package.json"];
  for (const file of sources.sort()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex").slice(0, 16);
}

const id = buildId();
const flags = [
  "--compile",
  "--bytecode",
  // Bytecode is CommonJS by default, and that has no top-level await.
  "--format=esm",
  // What a command imports only when it needs it stays in a chunk of its own: a fifth less CPU for a short command.
  "--splitting",
  "--minify-syntax",
  // The runtime hashes each file's text before it takes the bytecode.
  "--minify-whitespace",
  // A program of root reads no settings from wherever it is started.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--sourcemap=none",
  `--define=TIFFIN_BUILD=${JSON.stringify(id)}`,
];
try {
  run(
    [process.execPath, "build", ...flags, ...entrypoints, `--outfile=${unfinished}`],
    "make the executable",
  );
  rmSync(front, { force: true });
  run(["make", "-s", "-C", "native", "build/front", `BUILD_ID=${id}`], "compile the front");
  const grafted = graftFront(readFileSync(unfinished), readFileSync(front));
  writeFileSync(unfinished, grafted, { mode: 0o755 });
  const version = run([unfinished, "--version"], "run the new executable").trim();
  renameSync(unfinished, output);
  console.log(`build: build/tiffin, ${Math.round(statSync(output).size / 1e6)} MB: ${version}`);
} finally {
  rmSync(unfinished, { force: true });
}
