import type { ProcessFacts } from "./read-process.ts";

/** What cells depend on beside the process. */
export interface PsHost {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly uptimeSeconds: number;
  readonly memoryBytes: number;
  /** The name of a user or group as the container knows it, by the host's id; the number when there is none. */
  userName(uid: number): string;
  groupName(gid: number): string;
  /** The same as a number. */
  insideId(id: number): number;
}

/** A column of ps(1): its title, and its cell for a process. */
export interface PsColumn {
  readonly title: string;
  readonly cell: (process: ProcessFacts, host: PsHost) => string;
}

type Cell = PsColumn["cell"];

const TICKS = 100;
const PAGE_BYTES = 4096;
const HOUR = 3600;
const DAY = 24 * HOUR;

const elapsed = (process: ProcessFacts, { uptimeSeconds }: PsHost): number =>
  Math.max(0, uptimeSeconds - process.startTicks / TICKS);
const startedMs = (process: ProcessFacts, host: PsHost): number =>
  host.nowMs - elapsed(process, host) * 1000;
const two = (number: number): string => String(number).padStart(2, "0");

/** Share of one CPU over its whole life, in per cent. */
function cpuShare(process: ProcessFacts, host: PsHost): number {
  const seconds = elapsed(process, host);
  return seconds === 0 ? 0 : (process.cpuTicks / TICKS / seconds) * 100;
}

/** `[DD-]HH:MM:SS` */
function clock(total: number): string {
  const seconds = Math.floor(total);
  const [days, rest] = [Math.floor(seconds / DAY), seconds % DAY];
  const time = [rest / HOUR, (rest % HOUR) / 60, rest % 60].map((part) => two(Math.floor(part)));
  return `${days > 0 ? `${two(days)}-` : ""}${time.join(":")}`;
}

/** `MM:SS`, `HH:MM:SS` or `D-HH:MM:SS` */
function elapsedClock(process: ProcessFacts, host: PsHost): string {
  const seconds = elapsed(process, host);
  return seconds < HOUR ? clock(seconds).slice(3) : clock(seconds).replace(/^0(\d-)/, "$1");
}

function bsdClock({ cpuTicks }: ProcessFacts): string {
  const seconds = Math.floor(cpuTicks / TICKS);
  return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const DAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" ");

/** `12:05` of today, `Nov23` of this year, else the year. */
function startTime(process: ProcessFacts, host: PsHost): string {
  const [start, now] = [new Date(startedMs(process, host)), new Date(host.nowMs)];
  if (start.getFullYear() !== now.getFullYear()) return String(start.getFullYear());
  if (start.toDateString() === now.toDateString()) {
    return `${two(start.getHours())}:${two(start.getMinutes())}`;
  }
  return `${MONTHS[start.getMonth()]}${two(start.getDate())}`;
}

function longStart(process: ProcessFacts, host: PsHost): string {
  const start = new Date(startedMs(process, host));
  const time = [start.getHours(), start.getMinutes(), start.getSeconds()].map(two).join(":");
  const day = String(start.getDate()).padStart(2);
  return `${DAYS[start.getDay()]} ${MONTHS[start.getMonth()]} ${day} ${time} ${start.getFullYear()}`;
}

/** A device number as makedev(3) makes it. Terminals of a container are in its own devpts. */
function terminalName({ terminal }: ProcessFacts): string {
  const major = (terminal >> 8) & 0xfff;
  const minor = (terminal & 0xff) | ((terminal >> 12) & 0xfff00);
  if (terminal === 0) return "?";
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`;
  if (major === 4) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  return "?";
}

function longState(process: ProcessFacts): string {
  return [
    process.state,
    process.nice < 0 ? "<" : process.nice > 0 ? "N" : "",
    process.isLocked ? "L" : "",
    process.session === process.pid ? "s" : "",
    process.threads > 1 ? "l" : "",
    process.foreground === process.group ? "+" : "",
  ].join("");
}

function shortCommand({ name, state }: ProcessFacts): string {
  return state === "Z" ? `${name} <defunct>` : name;
}

function longCommand(process: ProcessFacts): string {
  if (process.arguments.length > 0) return process.arguments.join(" ");
  return process.state === "Z" ? `[${process.name}] <defunct>` : `[${process.name}]`;
}

/** Control characters would let a process write on the terminal of whoever looks at it. */
const printable =
  (cell: Cell): Cell =>
  (process, host) =>
    cell(process, host).replaceAll(/\p{Cc}/gu, "?");

const command = printable(longCommand);
const commandName = printable(shortCommand);
const user: Cell = ({ effectiveUid }, host) => host.userName(effectiveUid);
const realUser: Cell = ({ realUid }, host) => host.userName(realUid);
const uid: Cell = ({ effectiveUid }, host) => String(host.insideId(effectiveUid));
const group: Cell = ({ effectiveGid }, host) => host.groupName(effectiveGid);
const realGroup: Cell = ({ realGid }, host) => host.groupName(realGid);
const gid: Cell = ({ effectiveGid }, host) => String(host.insideId(effectiveGid));
const cpuPercent: Cell = (process, host) => cpuShare(process, host).toFixed(1);
const memoryPercent: Cell = ({ residentBytes }, { memoryBytes }) =>
  (Math.floor((residentBytes * 1000) / memoryBytes) / 10).toFixed(1);
const virtualSize: Cell = ({ virtualBytes }) => String(Math.floor(virtualBytes / 1024));
const resident: Cell = ({ residentBytes }) => String(Math.floor(residentBytes / 1024));
const cpuTime: Cell = ({ cpuTicks }) => clock(cpuTicks / TICKS);
const nice: Cell = (process) => String(process.nice);
const threads: Cell = (process) => String(process.threads);
const processGroup: Cell = (process) => String(process.group);
const session: Cell = (process) => String(process.session);

/** The words that ps's -o takes, with procps' titles (ps(1), "STANDARD FORMAT SPECIFIERS"). */
export const PS_COLUMNS: Readonly<Record<string, PsColumn>> = {
  "%cpu": { title: "%CPU", cell: cpuPercent },
  "%mem": { title: "%MEM", cell: memoryPercent },
  addr: { title: "ADDR", cell: () => "-" },
  args: { title: "COMMAND", cell: command },
  bsdtime: { title: "TIME", cell: bsdClock },
  c: {
    title: "C",
    cell: (process, host) => String(Math.min(99, Math.floor(cpuShare(process, host)))),
  },
  cmd: { title: "CMD", cell: command },
  comm: { title: "COMMAND", cell: commandName },
  command: { title: "COMMAND", cell: command },
  cputime: { title: "TIME", cell: cpuTime },
  egid: { title: "EGID", cell: gid },
  egroup: { title: "EGROUP", cell: group },
  etime: { title: "ELAPSED", cell: elapsedClock },
  etimes: { title: "ELAPSED", cell: (...of) => String(Math.floor(elapsed(...of))) },
  euid: { title: "EUID", cell: uid },
  euser: { title: "EUSER", cell: user },
  f: { title: "F", cell: ({ flags }) => String((flags >> 6) & 7) },
  gid: { title: "GID", cell: gid },
  group: { title: "GROUP", cell: group },
  lstart: { title: "STARTED", cell: longStart },
  maj_flt: { title: "MAJFL", cell: ({ majorFaults }) => String(majorFaults) },
  min_flt: { title: "MINFL", cell: ({ minorFaults }) => String(minorFaults) },
  ni: { title: "NI", cell: nice },
  nice: { title: "NI", cell: nice },
  nlwp: { title: "NLWP", cell: threads },
  pcpu: { title: "%CPU", cell: cpuPercent },
  pgid: { title: "PGID", cell: processGroup },
  pgrp: { title: "PGRP", cell: processGroup },
  pid: { title: "PID", cell: ({ pid }) => String(pid) },
  pmem: { title: "%MEM", cell: memoryPercent },
  ppid: { title: "PPID", cell: ({ parent }) => String(parent) },
  opri: { title: "PRI", cell: ({ priority }) => String(60 + priority) },
  // 19 is nice 0's: a larger number is a higher priority.
  pri: { title: "PRI", cell: ({ priority }) => String(39 - priority) },
  psr: { title: "PSR", cell: ({ processor }) => String(processor) },
  rgid: { title: "RGID", cell: ({ realGid }, host) => String(host.insideId(realGid)) },
  rgroup: { title: "RGROUP", cell: realGroup },
  rss: { title: "RSS", cell: resident },
  rssize: { title: "RSS", cell: resident },
  rsz: { title: "RSZ", cell: resident },
  ruid: { title: "RUID", cell: ({ realUid }, host) => String(host.insideId(realUid)) },
  ruser: { title: "RUSER", cell: realUser },
  s: { title: "S", cell: ({ state }) => state },
  sess: { title: "SESS", cell: session },
  sid: { title: "SID", cell: session },
  start_time: { title: "START", cell: startTime },
  stat: { title: "STAT", cell: longState },
  state: { title: "S", cell: ({ state }) => state },
  stime: { title: "STIME", cell: startTime },
  sz: { title: "SZ", cell: ({ virtualBytes }) => String(Math.floor(virtualBytes / PAGE_BYTES)) },
  thcount: { title: "THCNT", cell: threads },
  time: { title: "TIME", cell: cpuTime },
  tname: { title: "TTY", cell: terminalName },
  tt: { title: "TT", cell: terminalName },
  tty: { title: "TT", cell: terminalName },
  ucmd: { title: "CMD", cell: commandName },
  ucomm: { title: "COMMAND", cell: commandName },
  uid: { title: "UID", cell: uid },
  user: { title: "USER", cell: user },
  // Where in the kernel it waits is nobody's business but root's.
  wchan: { title: "WCHAN", cell: () => "-" },
  vsize: { title: "VSZ", cell: virtualSize },
  vsz: { title: "VSZ", cell: virtualSize },
};
