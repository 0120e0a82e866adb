/**
 * Sets up a checkout: dependencies, native parts, the built-in image. What is current is left alone, so it may run before
 * everything else. Plain JavaScript, since it runs on Node before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandsFor, parseMakefile } from "./makefile.mjs";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** What went wrong and what to do about it, for a person; ends the script without a stack. */
export class SetupError extends Error {}

/** Ends the process with the words of a SetupError; other errors keep their stack. */
export function fail(error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`tiffin: ${error.message}`);
  process.exit(1);
}

/** Brings dependencies, native parts and the built-in image up to date. */
export function setup() {
  checkMachine();
  if (!dependenciesAreCurrent()) {
    // Not `npm ci`: it insists on the optional packages of every platform, also where a registry lacks some of them.
    step("dependencies", () =>
      run("npm", ["install", "--no-save", "--include=dev", "--no-progress", "--loglevel=error"]),
    );
  }
  buildNative();
  if (isOlder("build/hello.tar", ["native/build/hello", "scripts/pack-hello.ts"])) {
    step("built-in image", () => run("scripts/bun", ["scripts/pack-hello.ts"]));
  }
}

function checkMachine() {
  const [major = 0] = process.versions.node.split(".").map(Number);
  if (process.platform !== "linux") {
    throw new SetupError(
      `Linux is needed: a container is a Linux process (this is ${process.platform})`,
    );
  }
  if (!["x64", "arm64"].includes(process.arch)) {
    throw new SetupError(`An x86-64 or arm64 machine is needed (this is ${process.arch})`);
  }
  if (major < 20) throw new SetupError(`Node 20 or newer is needed (this is ${process.version})`);
}

/** npm writes what it installed to node_modules/.package-lock.json; it must be what the lockfile asks for. */
function dependenciesAreCurrent() {
  const installedPath = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedPath)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedPath, "utf8")).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true;
    const have = installed[path];
    if (have === undefined) return entry.optional === true;
    return have.version === entry.version && existsSync(join(root, path));
  });
}

function buildNative() {
  const directory = join(root, "native");
  const hasMake = isInstalled("make");
  if (hasMake && spawnSync("make", ["-q", "-C", directory]).status === 0) return;
  const makefile = parseMakefile(readFileSync(join(directory, "Makefile"), "utf8"));
  const commands = hasMake ? [] : commandsFor(makefile, "all", directory);
  if (!hasMake && commands.length === 0) return;
  checkCompiler();
  step("native parts", () => {
    if (hasMake) run("make", ["-s", "-C", directory]);
    for (const command of commands) run("sh", ["-c", command], directory);
  });
}

function checkCompiler() {
  if (!isInstalled("cc")) {
    throw new SetupError("No C compiler (cc) found\n  to fix: apt install gcc libc6-dev");
  }
  const probe = spawnSync("cc", ["-static", "-x", "c", "-o", "/dev/null", "-"], {
    input: '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n',
    encoding: "utf8",
  });
  if (probe.status !== 0) {
    throw new SetupError(
      `The C compiler cannot make a static program: ${firstLine(probe.stderr)}\n  to fix: apt install libc6-dev`,
    );
  }
}

/** True when a program of that name is in PATH. */
export function isInstalled(program) {
  return (process.env.PATH ?? "")
    .split(":")
    .some((folder) => folder !== "" && existsSync(join(folder, program)));
}

function isOlder(target, sources) {
  const path = join(root, target);
  if (!existsSync(path)) return true;
  const made = statSync(path).mtimeMs;
  return sources.some((source) => statSync(join(root, source)).mtimeMs > made);
}

function step(what, work) {
  const start = performance.now();
  process.stderr.write(`setup: ${what} ...\n`);
  work();
  process.stderr.write(`setup: ${what}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}

function run(program, args, cwd = root) {
  const result = spawnSync(program, args, { cwd, stdio: ["ignore", 2, 2] });
  if (result.error) throw new SetupError(`Cannot run ${program}: ${result.error.message}`);
  if (result.status !== 0) {
    throw new SetupError(
      `\`${[program, ...args].join(" ")}\` failed (exit status ${result.status ?? result.signal})`,
    );
  }
}

function firstLine(text) {
  return text.trim().split("\n")[0] ?? "";
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    setup();
    console.error("setup: ready");
  } catch (error) {
    fail(error);
  }
}
