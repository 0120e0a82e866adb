import { ftruncateSync, openSync, writeSync } from "node:fs";
import { messageOf } from "../base/error.ts";
import type { Operation } from "../base/operation.ts";
import { closeFd, createMemoryFile, reap, socketPair, spawn } from "../kernel/process.ts";
import { ARCHITECTURE } from "../kernel/syscall.ts";
import {
  compile,
  compileFirstPart,
  type LaunchProgram,
  type Patch,
  type RestOfPlan,
} from "./compile.ts";
import type { Room } from "./encode-program.ts";
import { type LaunchReport, launchError, parseReport } from "./report.ts";
import { SupervisorConnection } from "./supervisor-connection.ts";

export interface Launched {
  readonly program: LaunchProgram;
  readonly report: LaunchReport;
  readonly supervisorPid: number;
  /** Subscribed as the plan's supervise step says; carries output and the exit record. */
  readonly connection: SupervisorConnection;
}

/** Runs plans. Holds the launcher's executable as a sealed memory file, so that no container can change it. */
export interface Launcher {
  /**
   * Starts a launcher, hands it the compiled plan and resolves when the container's program runs. Output may arrive on
   * the connection at once: set its handlers before the next await.
   * @param inherited descriptors that the plan finds from FIRST_INHERITED_FD on
   * @param answer to the plan's question (tell-stage.ts), if it has one; what it throws ends the launch
   * @throws the failed step's error (report.ts); nothing runs then, what the plan made on the host is the caller's to undo
   */
  launch(
    plan: readonly Operation[],
    name: string,
    inherited?: readonly number[],
    answer?: () => number,
  ): Promise<Launched>;
  /**
   * Runs a plan that tells of one stage and ends; the number that it told.
   * @throws the failed step's error
   */
  run(plan: readonly Operation[], name: string): Promise<number>;
  /** Launches the first part of a plan, which waits for its rest (ready-plan.ts). @throws when it cannot be started */
  prepare(plan: readonly Operation[], name: string): ReadyLaunch;
  close(): void;
}

/** A launch that has begun and waits. It ends with the engine. */
export interface ReadyLaunch {
  /** undefined while it waits; once it has ended by itself, or failed, why. */
  readonly ended: string | undefined;
  /** Pid of the container's first process, once it waits. @throws when it ends before */
  readonly begun: Promise<number>;
  /**
   * Goes on, once; resolves and throws as {@link Launcher.launch}. undefined when it cannot, and is dropped: it has ended by
   * itself, or the rest is larger than the room for it.
   */
  goOn(rest: RestOfPlan): Promise<Launched> | undefined;
  /** Ends it. Its processes are gone soon after; what it made on the host is the caller's to undo. */
  drop(): void;
}

export function createLauncher(executable: Uint8Array): Launcher {
  const executableFd = createMemoryFile("tiffin-launch", executable, { sealed: true });
  const devNull = openSync("/dev/null", "r+");
  return {
    launch: (plan, name, inherited = [], answer) =>
      launch({ executableFd, devNull, plan, name, inherited }, answer),
    run: (plan, name) => run({ executableFd, devNull, plan, name, inherited: [] }),
    prepare: (plan, name) => prepare({ executableFd, devNull, plan, name, inherited: [] }),
    close: () => {
      closeFd(executableFd);
      closeFd(devNull);
    },
  };
}

interface Start {
  readonly executableFd: number;
  readonly devNull: number;
  readonly plan: readonly Operation[];
  readonly name: string;
  readonly inherited: readonly number[];
}

/** A start of a container has about 250 operations, 40 registers and 25 kB of data; long command lines and many mounts more. */
const ROOM: Room = { operations: 600, registers: 160, data: 64 * 1024 };

function prepare(options: Start): ReadyLaunch {
  const firstPart = compileFirstPart(options.plan, ARCHITECTURE, ROOM);
  const { programFd, ...begun } = spawnLauncher(options, firstPart.program.bytes);
  let ended: string | undefined;
  const waits = Promise.withResolvers<number>();
  // Whoever awaits it sees the failure.
  waits.promise.catch(() => undefined);
  begun.connection.onStage(waits.resolve);
  begun.connection
    .report()
    .then((bytes) => {
      const { program } = firstPart;
      throw launchError(parseReport(bytes, program), program);
    })
    .catch((error: unknown) => {
      ended ??= messageOf(error);
      waits.reject(error);
    });
  const drop = (): void => {
    ended = "it was dropped";
    begun.connection.close();
    closeFd(programFd);
  };
  return {
    get ended() {
      return ended;
    },
    begun: waits.promise,
    goOn: (rest) => {
      const whole = ended === undefined ? firstPart.complete(rest) : undefined;
      if (whole === undefined) {
        drop();
        return undefined;
      }
      ended = "it has gone on";
      return goOn({ ...begun, program: whole.program }, programFd, whole.patches);
    },
    drop,
  };
}

async function goOn(
  begun: Omit<Launched, "report">,
  programFd: number,
  patches: readonly Patch[],
): Promise<Launched> {
  try {
    for (const { offset, bytes } of patches) writeSync(programFd, bytes, 0, bytes.length, offset);
    void begun.connection.send(GO_ON);
    const launched = await reported(begun);
    // Room that nobody used is given back: what is left of this memory is the supervisor's from now on.
    ftruncateSync(
      programFd,
      Math.max(...patches.map(({ offset, bytes }) => offset + bytes.length)),
    );
    return launched;
  } finally {
    closeFd(programFd);
  }
}

/** What a launcher that waits for its engine reads: the bytes of an eventfd's count. */
const GO_ON = new Uint8Array(8);

async function launch(options: Start, answer?: () => number): Promise<Launched> {
  const started = start(options);
  const refused = answer && answerWith(started.connection, answer);
  return await reported(started, refused);
}

async function reported(
  started: Omit<Launched, "report">,
  refused?: (cause: unknown) => never,
): Promise<Launched> {
  const { program, connection } = started;
  const report = parseReport(await connection.report().catch(refused), program);
  if (report.failedStep !== undefined) {
    connection.close();
    throw launchError(report, program);
  }
  return { ...started, report };
}

/** @returns what to do when there is no report: throws why there was no answer */
function answerWith(
  connection: SupervisorConnection,
  answer: () => number,
): (cause: unknown) => never {
  let thrown: unknown;
  connection.onStage(() => {
    try {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(answer());
      void connection.send(bytes);
    } catch (error) {
      thrown = error;
      connection.close();
    }
  });
  return (cause) => {
    throw thrown ?? cause;
  };
}

async function run(options: Start): Promise<number> {
  const { program, connection } = start(options);
  try {
    return await new Promise<number>((resolve, reject) => {
      connection.onStage(resolve);
      connection
        .report()
        .then((bytes) => reject(launchError(parseReport(bytes, program), program)), reject);
    });
  } finally {
    connection.close();
  }
}

function start(options: Start): Omit<Launched, "report"> {
  const program = compile(options.plan, ARCHITECTURE);
  const { supervisorPid, connection, programFd } = spawnLauncher(options, program.bytes);
  closeFd(programFd);
  return { program, supervisorPid, connection };
}

/** The launcher reads its program from a memory file, whose descriptor is the caller's to close. */
function spawnLauncher(
  options: Start,
  program: Uint8Array,
): { supervisorPid: number; connection: SupervisorConnection; programFd: number } {
  const [ours, theirs] = socketPair();
  const programFd = createMemoryFile("tiffin-program", program, { sealed: false });
  let supervisorPid: number;
  try {
    const { executableFd, devNull, name } = options;
    supervisorPid = spawn(executableFd, name, [
      devNull,
      devNull,
      devNull,
      theirs,
      programFd,
      ...options.inherited,
    ]);
  } catch (error) {
    closeFd(ours);
    closeFd(programFd);
    throw error;
  } finally {
    closeFd(theirs);
  }
  const connection = SupervisorConnection.adopt(ours);
  connection.onClose(() => reapWhenGone(supervisorPid));
  return { supervisorPid, connection, programFd };
}

const FIRST_REAP_PAUSE_MS = 5;
const LONGEST_REAP_PAUSE_MS = 1_000;

/** The supervisor's socket closes a moment before it is a zombie that can be reaped. */
function reapWhenGone(pid: number, pauseMs: number = FIRST_REAP_PAUSE_MS): void {
  if (reap(pid)) return;
  const again = () => reapWhenGone(pid, Math.min(pauseMs * 2, LONGEST_REAP_PAUSE_MS));
  setTimeout(again, pauseMs).unref();
}
