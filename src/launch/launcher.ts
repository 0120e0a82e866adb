import { openSync } from "node:fs";
import type { Operation } from "../base/operation.ts";
import { closeFd, createMemoryFile, reap, socketPair, spawn } from "../kernel/process.ts";
import { ARCHITECTURE } from "../kernel/syscall.ts";
import { compile, type LaunchProgram } from "./compile.ts";
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
  close(): void;
}

export function createLauncher(executable: Uint8Array): Launcher {
  const executableFd = createMemoryFile("tiffin-launch", executable, { sealed: true });
  const devNull = openSync("/dev/null", "r+");
  return {
    launch: (plan, name, inherited = [], answer) =>
      launch({ executableFd, devNull, plan, name, inherited }, answer),
    run: (plan, name) => run({ executableFd, devNull, plan, name, inherited: [] }),
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

async function launch(options: Start, answer?: () => number): Promise<Launched> {
  const { program, supervisorPid, connection } = start(options);
  const refused = answer && answerWith(connection, answer);
  const report = parseReport(await connection.report().catch(refused), program);
  if (report.failedStep !== undefined) {
    connection.close();
    throw launchError(report, program);
  }
  return { program, report, supervisorPid, connection };
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
  const [ours, theirs] = socketPair();
  const programFd = createMemoryFile("tiffin-program", program.bytes, { sealed: false });
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
    throw error;
  } finally {
    closeFd(theirs);
    closeFd(programFd);
  }
  const connection = SupervisorConnection.adopt(ours);
  connection.onClose(() => reapWhenGone(supervisorPid));
  return { program, supervisorPid, connection };
}

const FIRST_REAP_PAUSE_MS = 5;
const LONGEST_REAP_PAUSE_MS = 1_000;

/** The supervisor's socket closes a moment before it is a zombie that can be reaped. */
function reapWhenGone(pid: number, pauseMs: number = FIRST_REAP_PAUSE_MS): void {
  if (reap(pid)) return;
  const again = () => reapWhenGone(pid, Math.min(pauseMs * 2, LONGEST_REAP_PAUSE_MS));
  setTimeout(again, pauseMs).unref();
}
