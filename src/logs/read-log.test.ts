import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { compressRotated } from "./compress-rotated.ts";
import { stampOf } from "./log-record.ts";
import type { LogControl, LogRequest } from "./log-request.ts";
import { readLog } from "./read-log.ts";

const second = 1_000_000_000n;
const start = 1_795_000_000n * second;
const everything: LogRequest = {
  stdout: true,
  stderr: true,
  sinceNano: 0n,
  untilNano: 0n,
  tail: null,
  follow: false,
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-logs."));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** A record as the supervisor writes it, `index` seconds after the start. */
function record(index: number, text: string, stream = "stdout", tag = "F"): string {
  return `${stampOf(start + BigInt(index) * second)} ${stream} ${tag} ${text}\n`;
}

function records(from: number, to: number): string {
  let text = "";
  for (let index = from; index < to; index++) text += record(index, `line ${index}`);
  return text;
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `line ${from + index}`);
}

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), name.endsWith(".gz") ? gzipSync(text) : text);
}

async function read(
  request: Partial<LogRequest> = {},
  control: LogControl = {},
): Promise<string[]> {
  const found: string[] = [];
  for await (const lines of readLog(directory, { ...everything, ...request }, control)) {
    for (const line of lines) found.push(Buffer.from(line.data).toString());
  }
  return found.map((text) => text.replace(/\n$/, ""));
}

/** What the supervisor does at its size limit. */
function rotate(number: number, keep: number): void {
  renameSync(join(directory, "log"), join(directory, `log.${number}`));
  for (const suffix of ["", ".gz"]) {
    try {
      unlinkSync(join(directory, `log.${number - keep}${suffix}`));
    } catch {
      // It was not there in this form.
    }
  }
  writeFileSync(join(directory, "log"), "");
}

const writerProgram = `
  const { closeSync, openSync, renameSync, writeSync } = require("node:fs");
  const { DIRECTORY, TOTAL, PER_FILE } = process.env;
  const current = DIRECTORY + "/log";
  let file = openSync(current, "a");
  for (let line = 0, number = 1; line < TOTAL; line++) {
    if (line > 0 && line % PER_FILE === 0) {
      renameSync(current, current + "." + number++);
      closeSync(file);
      file = openSync(current, "a");
    }
    writeSync(file, "2026-11-24T06:12:16.123456789Z stdout F line " + line + "\\n");
  }
`;

describe("whole logs", () => {
  test("lines keep their stream, time and bytes", async () => {
    write("log", record(0, "out") + record(1, "err", "stderr") + record(2, "ha", "stdout", "P"));
    const lines = [];
    for await (const batch of readLog(directory, everything)) lines.push(...batch);
    expect(lines.map(({ stream, timestamp }) => ({ stream, timestamp }))).toEqual([
      { stream: "stdout", timestamp: stampOf(start) },
      { stream: "stderr", timestamp: stampOf(start + second) },
      { stream: "stdout", timestamp: stampOf(start + 2n * second) },
    ]);
    expect(lines.map(({ data }) => Buffer.from(data).toString())).toEqual(["out\n", "err\n", "ha"]);
  });

  test("a missing directory, a missing log and an empty one have no lines", async () => {
    expect(await read()).toEqual([]);
    write("log", "");
    expect(await read()).toEqual([]);
    expect(await read({ tail: 3 })).toEqual([]);
    expect(await read({ sinceNano: start })).toEqual([]);
    rmSync(directory, { recursive: true });
    expect(await read()).toEqual([]);
    expect(await read({ follow: true }, { ended: Promise.resolve() })).toEqual([]);
  });

  test("rotated files come first, in the order of their numbers, compressed or not", async () => {
    write("log.9.gz", records(0, 10));
    write("log.10.gz", records(10, 20));
    write("log.11", records(20, 30));
    write("log", records(30, 40));
    expect(await read()).toEqual(numbered(0, 40));
  });

  test("a file that is there in both forms is read once", async () => {
    write("log.1", records(0, 10));
    write("log.1.gz", records(0, 10));
    write("log.1.gz.tmp", "half");
    write("log", records(10, 12));
    expect(await read()).toEqual(numbered(0, 12));
  });

  test("only the streams that were asked for are read", async () => {
    write("log", record(0, "out") + record(1, "err", "stderr"));
    expect(await read({ stderr: false })).toEqual(["out"]);
    expect(await read({ stdout: false })).toEqual(["err"]);
  });

  test("blocks cut lines anywhere without harm", async () => {
    const long = "x".repeat(32_768);
    const lines = Array.from({ length: 100 }, (_, index) => `${index}${long.slice(index * 300)}`);
    write("log", lines.map((text, index) => record(index, text)).join(""));
    expect(await read()).toEqual(lines);
  });

  test("what a killed supervisor left of a record is no line", async () => {
    write("log.1", `${records(0, 3)}${record(3, "torn").slice(0, 25)}`);
    write("log", `${records(4, 6)}${record(6, "torn").slice(0, 43)}`);
    expect(await read()).toEqual([...numbered(0, 3), ...numbered(4, 6)]);
    expect(await read({ tail: 3 })).toEqual(["line 2", ...numbered(4, 6)]);
    write("log", `${record(0, "x").slice(0, 20)}\n\n${"\0".repeat(5000)}\n${records(1, 3)}`);
    rmSync(join(directory, "log.1"));
    expect(await read()).toEqual(numbered(1, 3));
    expect(await read({ tail: 9 })).toEqual(numbered(1, 3));
  });

  test("bytes without any newline are no line, however many", async () => {
    write("log", records(0, 2) + "\0".repeat(2_000_000));
    expect(await read()).toEqual(numbered(0, 2));
    expect(await read({ tail: 1 })).toEqual(["line 1"]);
    expect(await read({ sinceNano: start + second })).toEqual(["line 1"]);
  });

  test("a damaged compressed file is an error", async () => {
    writeFileSync(join(directory, "log.1.gz"), gzipSync(records(0, 5000)).subarray(0, 4000));
    write("log", records(5000, 5001));
    expect(read()).rejects.toMatchObject({ code: "data-loss" });
  });
});

describe("since and until", () => {
  test("every cut of a long log is exact", async () => {
    const count = 20_000;
    write("log", records(0, count));
    for (const index of [0, 1, 77, 9_999, 19_998, 19_999]) {
      const since = start + BigInt(index) * second;
      expect((await read({ sinceNano: since }))[0]).toBe(`line ${index}`);
      expect((await read({ sinceNano: since - 1n }))[0]).toBe(`line ${index}`);
      expect((await read({ sinceNano: since + 1n }))[0]).toBe(numbered(0, count)[index + 1]);
      expect((await read({ untilNano: since })).at(-1)).toBe(`line ${index}`);
    }
    expect(await read({ sinceNano: start - 99n * second })).toHaveLength(count);
    expect(await read({ sinceNano: start + BigInt(count) * second })).toEqual([]);
    expect(await read({ untilNano: start - 1n })).toEqual([]);
  });

  test("a period may begin and end in any file", async () => {
    write("log.1.gz", records(0, 100));
    write("log.2", records(100, 200));
    write("log", records(200, 300));
    for (const [from, to] of [
      [50, 250],
      [100, 199],
      [150, 151],
      [250, 260],
      [10, 20],
    ] as const) {
      const sinceNano = start + BigInt(from) * second;
      const untilNano = start + BigInt(to) * second;
      expect(await read({ sinceNano, untilNano })).toEqual(numbered(from, to + 1));
    }
  });

  test("lines of any length do not mislead the search", async () => {
    const text = (index: number): string => `${index} ${"y".repeat((index * 7919) % 32_700)}`;
    let log = "";
    for (let index = 0; index < 200; index++) log += record(index, text(index));
    write("log", log);
    for (let index = 0; index < 200; index += 13) {
      const found = await read({ sinceNano: start + BigInt(index) * second });
      expect(found).toHaveLength(200 - index);
      expect(found[0]).toBe(text(index));
    }
  });

  test("a clock that was set back hides no line that comes after the first of the time", async () => {
    const hour = 3600;
    write("log", records(0, 5000) + records(hour, 2 * hour) + records(10, 5000));
    const found = await read({ sinceNano: start + 4900n * second });
    expect(found[0]).toBe("line 4900");
    expect(found.at(-1)).toBe("line 4999");
  });
});

describe("tail", () => {
  test("the last lines come out for every count, over rotated and compressed files", async () => {
    write("log.1.gz", records(0, 10));
    write("log.2.gz", records(10, 20));
    write("log.3", records(20, 30));
    write("log", records(30, 35));
    for (let tail = 0; tail <= 40; tail++) {
      expect(await read({ tail })).toEqual(numbered(Math.max(0, 35 - tail), 35));
    }
  });

  test("lines of more than one block come out whole", async () => {
    const lines = Array.from({ length: 40 }, (_, index) => `${index} ${"z".repeat(index * 800)}`);
    write("log", lines.map((text, index) => record(index, text)).join(""));
    for (const tail of [1, 2, 3, 7, 39, 40, 41]) {
      expect(await read({ tail })).toEqual(lines.slice(-tail));
    }
  });

  test("only lines of the wanted streams count", async () => {
    let log = "";
    for (let index = 0; index < 50; index++) {
      log += record(index, `line ${index}`, index % 10 === 0 ? "stderr" : "stdout");
    }
    write("log.1.gz", log);
    write("log.2", log);
    write("log", records(0, 3));
    expect(await read({ stdout: false, tail: 2 })).toEqual(["line 30", "line 40"]);
    expect(await read({ stdout: false, tail: 6 })).toEqual([
      "line 40",
      ...[0, 10, 20, 30, 40].map((index) => `line ${index}`),
    ]);
  });

  test("the parts of a line count as one, and an unfinished line at the end is a line", async () => {
    const log =
      record(0, "first") +
      record(1, "a", "stdout", "P") +
      record(2, "b", "stdout", "P") +
      record(3, "c") +
      record(4, "prompt> ", "stdout", "P");
    for (const name of ["log", "log.1.gz"]) {
      write("log", "");
      write(name, log);
      expect(await read({ tail: 1 })).toEqual(["prompt> "]);
      expect(await read({ tail: 2 })).toEqual(["a", "b", "c", "prompt> "]);
      expect(await read({ tail: 3 })).toEqual(["first", "a", "b", "c", "prompt> "]);
    }
  });

  test("a line whose parts lie in two files counts as one", async () => {
    for (const name of ["log.1", "log.1.gz"]) {
      write(name, records(0, 3) + record(3, "one ", "stdout", "P"));
      write("log", record(4, "line") + record(5, "last"));
      expect(await read({ tail: 1 })).toEqual(["last"]);
      expect(await read({ tail: 3 })).toEqual(["line 2", "one ", "line", "last"]);
      rmSync(join(directory, name));
    }
  });

  test("tail and since together give what both allow", async () => {
    write("log.1", records(0, 10));
    write("log", records(10, 20));
    expect(await read({ tail: 15, sinceNano: start + 12n * second })).toEqual(numbered(12, 20));
    expect(await read({ tail: 3, sinceNano: start + 2n * second })).toEqual(numbered(17, 20));
    expect(await read({ tail: 3, untilNano: start + 17n * second })).toEqual(["line 17"]);
  });
});

describe("follow", () => {
  /** Reads in the background; `lines` grows. */
  function follow(request: Partial<LogRequest> = {}): {
    lines: string[];
    until: (count: number) => Promise<void>;
    end: () => void;
    done: Promise<void>;
  } {
    const lines: string[] = [];
    const end = Promise.withResolvers<void>();
    let check = (): void => {};
    const done = (async (): Promise<void> => {
      const wanted = { ...everything, follow: true, ...request };
      for await (const batch of readLog(directory, wanted, { ended: end.promise })) {
        for (const { data } of batch) lines.push(Buffer.from(data).toString().trimEnd());
        check();
      }
    })();
    const until = (count: number): Promise<void> =>
      new Promise((resolve) => {
        check = () => {
          if (lines.length >= count) resolve();
        };
        check();
      });
    return { lines, until, end: () => end.resolve(), done };
  }

  test("what is there comes first, then what is written, and the end ends it", async () => {
    write("log", records(0, 5));
    const reader = follow();
    await reader.until(5);
    appendFileSync(join(directory, "log"), records(5, 6));
    await reader.until(6);
    appendFileSync(join(directory, "log"), record(6, "line 6").slice(0, 42));
    appendFileSync(join(directory, "log"), record(6, "line 6").slice(42));
    reader.end();
    await reader.done;
    expect(reader.lines).toEqual(numbered(0, 7));
  });

  test("with tail 0 only what is new comes", async () => {
    write("log", records(0, 5));
    const reader = follow({ tail: 0 });
    await Bun.sleep(50);
    appendFileSync(join(directory, "log"), records(5, 6));
    await reader.until(1);
    reader.end();
    await reader.done;
    expect(reader.lines).toEqual(["line 5"]);
  });

  test("a log may come into being later", async () => {
    const reader = follow({ tail: 1 });
    await Bun.sleep(20);
    write("log", records(0, 3));
    await reader.until(3);
    reader.end();
    await reader.done;
    expect(reader.lines).toEqual(numbered(0, 3));
  });

  for (const keep of [0, 1, 4]) {
    test(`no line is lost or repeated over rotations that keep ${keep} files`, async () => {
      write("log", "");
      const reader = follow();
      let written = 0;
      for (let rotation = 1; rotation <= 40; rotation++) {
        for (let burst = 0; burst < 3; burst++) {
          const count = (rotation * 31 + burst * 17) % 60;
          appendFileSync(join(directory, "log"), records(written, written + count));
          written += count;
        }
        // A reader that is more than `keep` files behind has lost them, as with any bounded log.
        await reader.until(written);
        const last = (rotation * 7) % 5;
        appendFileSync(join(directory, "log"), records(written, written + last));
        written += last;
        rotate(rotation, keep);
        if (rotation % 3 === 0) await compressRotated(directory);
      }
      appendFileSync(join(directory, "log"), records(written, written + 5));
      reader.end();
      await reader.done;
      expect(reader.lines).toEqual(numbered(0, written + 5));
    });
  }

  test("a reader that falls behind a writer that rotates and compresses still gets every line", async () => {
    const total = 60_000;
    const perFile = 1500;
    // A process of its own writes as the supervisor does, as fast as it can.
    const writer = Bun.spawn([process.execPath, "-e", writerProgram], {
      env: { DIRECTORY: directory, TOTAL: String(total), PER_FILE: String(perFile) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const reader = follow();
    while (writer.exitCode === null) {
      await compressRotated(directory);
      await Bun.sleep(1);
    }
    reader.end();
    await reader.done;
    expect(reader.lines).toHaveLength(total);
    expect(reader.lines.findIndex((line, index) => line !== `line ${index}`)).toBe(-1);
    expect(await read({ tail: 3000 })).toEqual(numbered(total - 3000, total));
  });

  test("an aborted signal ends it without an error", async () => {
    write("log", records(0, 2));
    const controller = new AbortController();
    const reading = read({ follow: true }, { signal: controller.signal });
    await Bun.sleep(20);
    controller.abort();
    expect(await reading).toEqual(numbered(0, 2));
  });

  test("until ends it when its time has come", async () => {
    const now = BigInt(Date.now()) * 1_000_000n;
    write("log", `${stampOf(now)} stdout F now\n`);
    expect(await read({ follow: true, untilNano: now + second / 2n })).toEqual(["now"]);
  });

  test("the directory of a removed container ends with its reader, not with an error", async () => {
    write("log", records(0, 2));
    const reader = follow();
    await reader.until(2);
    rmSync(directory, { recursive: true });
    reader.end();
    await reader.done;
    expect(reader.lines).toEqual(numbered(0, 2));
  });
});
