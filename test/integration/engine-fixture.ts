/**
 * An engine of its own for a test file: a process started through bin/tiffin in a temporary directory, docker's client and
 * tiffin run against its socket, and at the end a look whether anything was left on the host.
 */
import { expect } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/base/database.ts";
import { networkLeftovers } from "./network-leftovers.ts";

/** The command of the checkout. */
export const TIFFIN: string = join(import.meta.dirname, "../../bin/tiffin");
/** For machines under load; nothing here should take a tenth of it. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;

/** Why containers cannot be made here, in words, or undefined when they can. */
export const engineObstacle: string | undefined =
  process.getuid?.() !== 0
    ? "containers need root"
    : Bun.which("busybox") === null
      ? "this needs busybox (Debian's busybox-static)"
      : undefined;

export interface RunOptions {
  /** What stands on its standard input, which ends after it; without it the input is empty. */
  readonly stdin?: string | Uint8Array;
  /** On top of the test's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Killed, and the test fails, after this time. */
  readonly timeoutMs?: number;
}

export interface Ran {
  /** 128+n when signal n ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output bit for bit. */
  readonly bytes: Buffer;
}

/** A client that goes on while the test does something else. */
export interface Client {
  readonly process: ChildProcess;
  /** What came so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the output matches. @throws when it does not in time */
  seen(pattern: RegExp): Promise<void>;
  write(text: string | Uint8Array): void;
  /** Half-closes: no more input, output goes on. */
  endInput(): void;
  ended: Promise<Ran>;
}

type Run = (args: readonly string[], options?: RunOptions) => Promise<Ran>;

export interface EngineFixture {
  /** Holds root/, run/ and what the test puts into it; removed at the end. */
  readonly directory: string;
  readonly root: string;
  readonly run: string;
  /** Path of the socket; `DOCKER_HOST=unix://${socket}`. */
  readonly socket: string;
  /** Names the engine's cgroups: HIERARCHY/tiffin/ENGINE-ID. */
  readonly engineId: string;
  /** Variables that lead docker and tiffin to the engine. */
  readonly environment: Readonly<Record<string, string>>;
  /** Process id of the engine that runs now. */
  pid(): number;
  /** What the engine wrote to its standard error so far, over all its starts. */
  engineLog(): string;
  /** Lines of the engine's log that match are no failure when the fixture is closed. */
  expectLog(pattern: RegExp): void;

  /** Runs docker's client against the engine. */
  docker: Run;
  /** Runs `bin/tiffin` against the engine. */
  tiffin: Run;
  /** As docker and tiffin, but the status must be 0. Resolves to the output without its last newline. */
  dockerOk(...args: string[]): Promise<string>;
  tiffinOk(...args: string[]): Promise<string>;
  startClient(program: "docker" | "tiffin", args: readonly string[]): Client;
  /** Starts any program with DOCKER_HOST, TIFFIN_ROOT, TIFFIN_RUN and TIFFIN_HOST set. */
  start(program: string, args: readonly string[], options?: RunOptions): Client;

  /** Starts the engine again after it was killed or stopped; resolves when it answers. */
  startEngine(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves to the engine's exit status or signal when it has ended. */
  engineEnded(): Promise<number | NodeJS.Signals>;
  /** kill -9, and waits for it; containers go on. */
  killEngine(): Promise<void>;
  /** SIGTERM, and waits for it; containers go on. */
  stopEngine(): Promise<void>;

  /** Imports a busybox root file system as `name`. Users: root, ann (1000:1000; also in staff, 50), bob (1001). */
  importBusybox(name?: string): Promise<void>;
  /** Removes all containers. */
  removeContainers(): Promise<void>;
  /**
   * What is left on the host although no container is, in words; waits a little for what is being removed. Call it when
   * all containers are removed and the engine runs.
   */
  leaks(): Promise<string[]>;
  /** Removes the containers, stops the engine, asserts that nothing is left of either, removes the directory. */
  close(): Promise<void>;
}

/** Starts an engine. Call `close()` in afterAll. */
export async function openEngineFixture(
  options: { env?: Readonly<Record<string, string>>; docker?: string; tiffin?: string } = {},
): Promise<EngineFixture> {
  const { docker = "docker", tiffin = TIFFIN } = options;
  const directory = mkdtempSync(join(realpathSync(tmpdir()), "tiffin-engine."));
  // A user of a container who is somebody else on the host must get through to binds below it.
  chmodSync(directory, 0o755);
  const engine = new EngineProcess(directory, tiffin);
  await engine.start(options.env);
  const database = openDatabase(join(engine.root, "state.db"));
  const engineId = database.get<{ id: string }>("SELECT id FROM engine")?.id ?? "";
  database.close();
  return fixture(engine, engineId, { docker, tiffin });
}

function fixture(
  engine: EngineProcess,
  engineId: string,
  programs: { readonly docker: string; readonly tiffin: string },
): EngineFixture {
  const { directory, root, run, socket } = engine;
  const places = { TIFFIN_ROOT: root, TIFFIN_RUN: run, TIFFIN_HOST: `unix://${socket}` };
  // An empty configuration: no contexts, no credentials, and detach keys as they come.
  const env = {
    ...places,
    DOCKER_HOST: `unix://${socket}`,
    DOCKER_CONFIG: join(directory, "none"),
  };
  const start = (program: string, args: readonly string[], given: RunOptions = {}): Client =>
    startProgram(program, args, { ...given, env: { ...env, ...given.env } });
  const runner =
    (program: string): Run =>
    async (args, given = {}) => {
      const client = start(program, args, given);
      if (given.stdin !== undefined) client.write(given.stdin);
      client.endInput();
      return await client.ended;
    };
  const ok =
    (runs: Run) =>
    async (...args: string[]): Promise<string> => {
      const ran = await runs(args);
      const { status, stderr } = ran;
      expect({ args, status, stderr: status === 0 ? "" : stderr }).toEqual({
        args,
        status: 0,
        stderr: "",
      });
      return ran.stdout.replace(/\r?\n$/, "");
    };
  const self: EngineFixture = {
    directory,
    root,
    run,
    socket,
    engineId,
    environment: env,
    pid: () => engine.pid(),
    engineLog: () => readFileSync(engine.log, "utf8"),
    expectLog: (pattern) => void engine.expected.push(pattern),
    docker: runner(programs.docker),
    tiffin: runner(programs.tiffin),
    dockerOk: ok(runner(programs.docker)),
    tiffinOk: ok(runner(programs.tiffin)),
    startClient: (program, args) => start(programs[program], args),
    start,
    startEngine: (more) => engine.start(more),
    engineEnded: () => engine.ended,
    killEngine: () => engine.end("SIGKILL"),
    stopEngine: () => engine.end("SIGTERM"),
    importBusybox: (name = "busybox:latest") => importBusybox(self, name),
    removeContainers: async () => {
      const ids = (await self.tiffinOk("ps", "-aq")).split("\n").filter((id) => id !== "");
      if (ids.length > 0) await self.tiffinOk("rm", "-f", ...ids);
    },
    leaks: () => leaks(self),
    close: () => close(self, engine),
  };
  return self;
}

/** The engine in the foreground, started again as often as the test wants. */
class EngineProcess {
  readonly directory: string;
  readonly root: string;
  readonly run: string;
  readonly socket: string;
  readonly log: string;
  readonly #program: string;
  readonly expected: RegExp[] = [];
  ended: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  #child: ChildProcess | undefined;

  constructor(directory: string, program: string) {
    this.#program = program;
    this.directory = directory;
    this.root = join(directory, "root");
    this.run = join(directory, "run");
    this.socket = join(this.run, "tiffin.sock");
    this.log = join(directory, "engine.log");
  }

  pid(): number {
    return this.#child?.pid ?? -1;
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const log = Bun.file(this.log);
    const before = (await log.exists()) ? await log.text() : "";
    const flags = ["--root", this.root, "--run", this.run, "--host", `unix://${this.socket}`];
    const child = spawn(this.#program, [...flags, "engine"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
      cwd: "/",
    });
    this.#child = child;
    let told = before;
    writeFileSync(this.log, told);
    child.stderr?.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      writeFileSync(this.log, told);
    });
    let isOver = false;
    this.ended = new Promise((resolve) => {
      child.on("exit", (status, signal) => {
        isOver = true;
        resolve(signal ?? status ?? -1);
      });
    });
    await until(`the engine answers at ${this.socket}`, async () => {
      if (isOver) throw new Error(`The engine ended with ${await this.ended}: ${told}`);
      return await answers(this.socket);
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

async function answers(socket: string): Promise<boolean> {
  try {
    return (await fetch("http://tiffin/_ping", { unix: socket })).ok;
  } catch {
    // Not yet: there is no socket, or an earlier engine left it.
    return false;
  }
}

/** Waits until `isTrue`. @throws with `what` when that takes too long */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(PAUSE_MS);
  }
}

function startProgram(program: string, args: readonly string[], options: RunOptions): Client {
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // A client that ends before it has read its input is no failure of the test.
  child.stdin.on("error", () => undefined);
  const stdout = () => Buffer.concat(out).toString();
  const stderr = () => Buffer.concat(err).toString();
  const told = () => `${program} ${args.join(" ")}\nstdout: ${stdout()}\nstderr: ${stderr()}`;
  const ended = new Promise<Ran>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`Killed, it did not end: ${told()}`));
    }, options.timeoutMs ?? PATIENCE_MS);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const status = signal === null ? (code ?? -1) : 128 + signalNumber(signal);
      resolve({ status, stdout: stdout(), stderr: stderr(), bytes: Buffer.concat(out) });
    });
  });
  // Whoever awaits it sees the failure; a test that fails before need not.
  ended.catch(() => undefined);
  return {
    process: child,
    stdout,
    stderr,
    seen: (pattern) =>
      until(`${pattern} is seen`, () => pattern.test(stdout())).catch((error: unknown) => {
        throw new Error(`${String(error)} of ${told()}`);
      }),
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    ended,
  };
}

function signalNumber(name: NodeJS.Signals): number {
  return { SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 }[name as string] ?? 0;
}

async function importBusybox(engine: EngineFixture, name: string): Promise<void> {
  const tree = busyboxTree(engine.directory);
  const archive = join(engine.directory, "busybox.tar");
  const packed = startProgram("tar", ["-C", tree, "-cf", archive, "."], {});
  expect((await packed.ended).status).toBe(0);
  await engine.tiffinOk("import", archive, name);
}

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
ann:x:1000:1000:Ann:/home/ann:/bin/sh
bob:x:1001:1001:Bob:/home/bob:/bin/sh
`;
const GROUP = `root:x:0:
staff:x:50:ann
audio:x:29:
ann:x:1000:
bob:x:1001:
nogroup:x:65534:
`;

/** A root file system of busybox below `directory`; made once. Resolves to its path. */
export function busyboxTree(directory: string): string {
  const tree = join(directory, "busybox");
  if (existsSync(tree)) return tree;
  for (const folder of ["bin", "etc", "root", "home/ann", "tmp", "var"]) {
    mkdirSync(join(tree, folder), { recursive: true });
  }
  chmodSync(join(tree, "tmp"), 0o1777);
  const busybox = Bun.which("busybox") ?? "";
  copyFileSync(realpathSync(busybox), join(tree, "bin/busybox"));
  const { stdout } = Bun.spawnSync([busybox, "--list"]);
  for (const applet of stdout.toString().trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(tree, "bin", applet));
  }
  writeFileSync(join(tree, "etc/passwd"), PASSWD);
  writeFileSync(join(tree, "etc/group"), GROUP);
  return tree;
}

async function leaks(engine: EngineFixture): Promise<string[]> {
  let found: string[] = [];
  try {
    await until(
      "nothing is left",
      async () => (found = await leftovers(engine)).length === 0,
      10_000,
    );
  } catch {
    // Told by what was found last.
  }
  return found;
}

/** IDs under which the engine has begun containers that nobody has asked for yet. */
export async function readyContainers({
  socket,
}: Pick<EngineFixture, "socket">): Promise<string[]> {
  const answer = await fetch("http://tiffin/tiffin/check", { unix: socket });
  return ((await answer.json()) as { ready: string[] }).ready;
}

async function leftovers(engine: EngineFixture): Promise<string[]> {
  const check = await engine.tiffin(["system", "check"]);
  const ready = await readyContainers(engine);
  const isReady = (path: string) => ready.some((id) => path.endsWith(`/${id}`));
  return [
    ...(check.status === 0 ? [] : [`system check: ${check.stdout}${check.stderr}`]),
    ...cgroupsOf(engine.engineId)
      .filter((path) => !isReady(path))
      .map((path) => `cgroup ${path}`),
    ...processesOf(engine, isReady).map((words) => `process ${words}`),
    ...mountsBelow(engine.directory, "self").map((path) => `mount ${path}`),
    ...mountsBelow(engine.directory, engine.pid()).map((path) => `mount of the engine ${path}`),
    ...["root/containers", "root/layers/partial", "run/processes"].flatMap((path) =>
      entries(join(engine.directory, path)).map((name) => `file ${path}/${name}`),
    ),
  ];
}

/** Groups below the engine's own, in every hierarchy. */
function cgroupsOf(engineId: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(" ")[4] ?? "", "tiffin", engineId))
    .flatMap((path) => folders(path).map((name) => join(path, name)));
}

/**
 * Supervisors (their descriptors lie below the directory), container processes (in the engine's cgroups) and dead children
 * that the engine has not taken leave of.
 */
function processesOf(
  engine: EngineFixture,
  isFine: (cgroup: string) => boolean = () => false,
): string[] {
  const { directory, engineId } = engine;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        const words = `${name} ${/^Name:\t(.*)$/m.exec(status)?.[1] ?? ""}`;
        if (/^State:\tZ/m.test(status)) {
          return /^PPid:\t(\d+)$/m.exec(status)?.[1] === String(engine.pid())
            ? [`${words} (zombie)`]
            : [];
        }
        const groups = readFileSync(`/proc/${name}/cgroup`, "utf8").split("\n");
        const own = groups.filter((group) => group.includes(`/tiffin/${engineId}/`));
        if (own.length > 0) return own.every(isFine) ? [] : [words];
        if (!/memfd:tiffin-launch/.test(readlinkSync(`/proc/${name}/exe`))) return [];
        const fds = readdirSync(`/proc/${name}/fd`);
        const isOurs = fds.some((fd) =>
          readlinkSync(`/proc/${name}/fd/${fd}`).startsWith(`${directory}/`),
        );
        return isOurs ? [`${words} (supervisor)`] : [];
      } catch {
        // It ended while it was looked at, or is a kernel thread.
        return [];
      }
    });
}

function mountsBelow(directory: string, pid: number | "self"): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
}

function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

function folders(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

async function close(engine: EngineFixture, child: EngineProcess): Promise<void> {
  let left: string[];
  try {
    await engine.removeContainers();
    left = await engine.leaks();
  } finally {
    await child.end("SIGTERM");
  }
  const ended = await child.ended;
  const after = [
    ...cgroupsOf(engine.engineId).map((path) => `cgroup ${path}`),
    ...processesOf(engine).map((words) => `process ${words}`),
    ...networkLeftovers(engine.engineId),
  ];
  const log = engine
    .engineLog()
    .split("\n")
    .filter((line) => !child.expected.some((pattern) => pattern.test(line)))
    .join("\n");
  // What is left says more with its files at hand.
  if (left.length + after.length === 0) rmSync(engine.directory, { recursive: true, force: true });
  expect({ left, after, ended, log }).toEqual({ left: [], after: [], ended: 0, log: "" });
}
