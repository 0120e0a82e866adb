/** Runs checks and test files one process each, with a limit of time, and counts what they did. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./setup.mjs";

/**
 * @typedef {{ passed: number, failed: number, skipped: number, reasons: string[] }} Tally `reasons`: what was skipped, and why
 * @typedef {{ name: string, command: string[] }} Check a command whose exit status 0 is a pass
 */

/** @returns {Tally} */
export function emptyTally() {
  return { passed: 0, failed: 0, skipped: 0, reasons: [] };
}

/** Adds `more` to `tally`. */
export function add(tally, more) {
  tally.passed += more.passed;
  tally.failed += more.failed;
  tally.skipped += more.skipped;
  tally.reasons.push(...more.reasons);
}

/** The line that ends a run: `12 passed, 0 failed, 2 skipped`. */
export function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Files below `folder` whose names end in one of the suffixes, sorted; none when it does not exist. */
export function filesBelow(folder, suffixes) {
  const top = join(root, folder);
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, encoding: "utf8" })
    .filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))
    .map((name) => join(folder, name))
    .toSorted();
}

/**
 * Runs one check; its output is shown only when it fails.
 * @param {Check} check
 * @returns {Promise<Tally>}
 */
export async function runCheck(check) {
  const result = await runProcess(check.command, 300_000);
  const passed = result.status === 0;
  report(passed, check.name, result);
  return { ...emptyTally(), passed: passed ? 1 : 0, failed: passed ? 0 : 1 };
}

/**
 * Runs one test file under Bun.
 * @param {string} file relative to the project's root
 * @param {{ testTimeoutMs: number, fileTimeoutMs: number }} limits
 * @returns {Promise<Tally>}
 */
export async function runTestFile(file, limits) {
  const scratch = mkdtempSync(join(tmpdir(), "tiffin-test."));
  const junit = join(scratch, "junit.xml");
  try {
    const command = ["scripts/bun", "test", `./${file}`, `--timeout=${limits.testTimeoutMs}`];
    const reporter = ["--reporter=junit", `--reporter-outfile=${junit}`];
    const result = await runProcess([...command, ...reporter], limits.fileTimeoutMs);
    const xml = existsSync(junit) ? readFileSync(junit, "utf8") : "";
    const tally = { ...tallyOf(xml), reasons: skipReasons(file, xml, result.output) };
    // A file that dies or hangs, or throws outside of its tests, has failed even if every test that it got to passed.
    if (result.status !== 0 && tally.failed === 0) tally.failed = 1;
    report(tally.failed === 0, `${file}  (${summary(tally)})`, result);
    return tally;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * The counts of a JUnit report, from its outermost element.
 * @returns {Tally}
 */
export function tallyOf(xml) {
  const [head = ""] = /<testsuites\b[^>]*>/.exec(xml) ?? [];
  const count = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  return {
    ...emptyTally(),
    passed: count("tests") - failed - count("skipped"),
    failed,
    skipped: count("skipped"),
  };
}

/** A test file says why with lines that start with "skipped: "; without one the names of its skipped tests stand. */
export function skipReasons(file, xml, output) {
  const said = [...output.matchAll(/^skip(?:ped)?: (.*)$/gm)].map((match) => match[1]);
  if (said.length > 0) return [...new Set(said)].map((reason) => `${file}: ${reason}`);
  const names = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*>\s*<skipped/g)].map((match) =>
    match[1].replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">"),
  );
  const [first, ...others] = names;
  if (first === undefined) return [];
  return [`${file}: ${first}${others.length > 0 ? `, and ${others.length} more` : ""}`];
}

/** Runs `work` over the items, at most `width` at a time. */
export async function inParallel(items, width, work) {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Runs a command in its own process group, which is killed as a whole when the time is over. */
function runProcess([program, ...args], timeoutMs) {
  const start = performance.now();
  const child = spawn(program, args, {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0", NO_COLOR: "1" },
  });
  const chunks = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  child.stderr.on("data", (chunk) => chunks.push(chunk));
  return new Promise((resolve) => {
    const finish = (status, note) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      const output = Buffer.concat(chunks).toString() + note;
      resolve({ status, output, seconds: (performance.now() - start) / 1000 });
    };
    const timer = setTimeout(() => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It ended by itself in this moment.
      }
      finish(124, `\nstopped: it ran longer than ${timeoutMs / 1000} s\n`);
    }, timeoutMs);
    child.on("error", (error) => finish(127, `${error.message}\n`));
    // "exit", not "close": a background process that a test left behind may hold the pipe open.
    child.on("exit", (status, signal) => {
      const ended = signal === null ? "" : `\nended by ${signal}\n`;
      setTimeout(() => finish(status ?? 128, ended), 50);
    });
  });
}

/** One line; the output too when it failed. */
function report(passed, what, { output, seconds }) {
  console.log(`${passed ? "ok    " : "FAILED"} ${what}  ${seconds.toFixed(1)} s`);
  if (!passed) console.log(lastLines(output, 200).replace(/^/gm, "       "));
}

function lastLines(text, count) {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
