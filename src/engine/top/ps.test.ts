import { describe, expect, test } from "bun:test";
import { type PsHost, PS_COLUMNS } from "./ps-columns.ts";
import { readPsOptions } from "./ps-options.ts";
import { parseProcess, readProcess } from "./read-process.ts";

const titles = (options: string) =>
  readPsOptions(options)
    .columns.map(({ title }) => title)
    .join(" ");

describe("options of ps", () => {
  const sets: [string, string][] = [
    ["-ef", "UID PID PPID C STIME TTY TIME CMD"],
    ["-e", "PID TTY TIME CMD"],
    ["aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"],
    ["ax", "PID TTY STAT TIME COMMAND"],
    ["-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"],
    ["-o pid,user,args", "PID USER COMMAND"],
    ["-eo pid,comm", "PID COMMAND"],
    ["-o pid -ocmd", "PID CMD"],
    ["-o pid,user=WHO", "PID WHO"],
    ["-C sleep", "PID TTY TIME CMD"],
  ];
  for (const [options, expected] of sets) {
    test(`${options} shows ${expected}`, () => expect(titles(options)).toBe(expected));
  }

  const refused: [string, RegExp][] = [
    ["-o comm", /Couldn't find PID field/],
    ["-o nope,pid", /unknown user-defined format specifier "nope"/],
    ["--nope", /unknown gnu long option "--nope"/],
    ["-o", /needs an argument/],
    ["-o pid,comm=PID", /is not allowed/],
    ["-o pid,toString", /unknown user-defined format specifier/],
    ["-Z", /unsupported option "Z"/],
  ];
  for (const [options, message] of refused) {
    test(`${options} is refused`, () => expect(() => readPsOptions(options)).toThrow(message));
  }
});

const host: PsHost = {
  nowMs: new Date(2026, 10, 24, 12, 0, 0).getTime(),
  uptimeSeconds: 1000,
  memoryBytes: 1 << 30,
  userName: (uid) => (uid === 1000 ? "ann" : String(uid)),
  groupName: String,
  insideId: (id) => id - 100,
};

describe("a process", () => {
  const stat = `42 (a) b (c) S 1 42 42 34816 42 4194304 100 0 7 0 6100 100 0 0 20 5 2 0 40000 3133440 416 1 1 1 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 0 0`;
  const status =
    "Name:\ta\nUid:\t1000\t1100\t1100\t1100\nGid:\t1\t2\t2\t2\nVmLck:\t 0 kB\nVmRSS:\t    1024 kB\n";
  const process = parseProcess(42, { stat, status, commandLine: "sh\0-c\0a\nb\0" });
  const cell = (name: string) => PS_COLUMNS[name]?.cell(process, host);

  test("is read whatever its name is", () => {
    expect(process).toMatchObject({ name: "a) b (c", parent: 1, state: "S", startTicks: 40_000 });
  });

  test("is shown as ps shows it", () => {
    const cells = Object.fromEntries(
      "pid user ruser uid c pcpu time bsdtime stat tname stime etime vsz rss pmem ni"
        .split(" ")
        .map((name) => [name, cell(name)]),
    );
    expect(cells).toEqual({
      pid: "42",
      user: "1100",
      ruser: "ann",
      uid: "1000",
      c: "10",
      pcpu: "10.3",
      time: "00:01:02",
      bsdtime: "1:02",
      stat: "SNsl+",
      tname: "pts/0",
      stime: "11:50",
      etime: "10:00",
      vsz: "3060",
      rss: "1024",
      pmem: "0.0",
      ni: "5",
    });
  });

  test("cannot write on the terminal of who looks at it", () => {
    expect(cell("args")).toBe("sh -c a?b");
  });

  test("that has ended is none", () => {
    expect(readProcess(2 ** 22 + 1)).toBeUndefined();
  });
});

const ps = Bun.which("ps");
const isProcps =
  ps !== null && Bun.spawnSync([ps, "--version"]).stdout.toString().includes("procps");
if (!isProcps) console.log("skipped: cells beside ps(1)'s: there is no procps");

test.skipIf(!isProcps)("its cells are those of ps(1)", async () => {
  const sleeper = Bun.spawn(["sleep", "100"]);
  try {
    const { pid } = sleeper;
    // Until it sleeps it is another program, or still being loaded.
    while (readProcess(pid)?.name !== "sleep" || readProcess(pid)?.state !== "S")
      await Bun.sleep(1);
    const facts = readProcess(pid);
    const names =
      "pid,ppid,pgid,sid,uid,ruid,gid,s,stat,nlwp,ni,pri,opri,f,tt,time,vsz,sz,args,cmd,comm,c,stime,lstart";
    const shown = Bun.spawnSync([ps ?? "", "-o", names, "-p", String(pid)]);
    const [, line = ""] = shown.stdout.toString().split("\n");
    const inside: PsHost = {
      ...host,
      nowMs: Date.now(),
      uptimeSeconds: Number((await Bun.file("/proc/uptime").text()).split(" ", 1)[0]),
      userName: String,
      groupName: String,
      insideId: (id) => id,
    };
    const cells = names.split(",").map((name) => {
      const column = PS_COLUMNS[name];
      return facts && column ? column.cell(facts, inside) : name;
    });
    // `lstart` to the second, and either may be a second late: all but its last part.
    const plain = (text: string) =>
      text
        .trim()
        .split(/\s+/)
        .join(" ")
        .replace(/:\d\d 20/, " 20");
    expect(plain(cells.join(" "))).toBe(plain(line));
  } finally {
    sleeper.kill();
    await sleeper.exited;
  }
});
