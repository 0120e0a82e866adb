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
   * @throws the failed step's error (report.ts); nothing runs then, what the plan made on the host is the caller's to undo
   */
  launch(
    plan: readonly Operation[],
    name: string,
    inherited?: readonly number[],
  ): Promise<Launched>;
  close(): void;
}

export function createLauncher(executable: Uint8Array): Launcher {
  const executableFd = createMemoryFile("tiffin-launch", executable, { sealed: true });
  const devNull = openSync("/dev/null", "r+");
  return {
    launch: (plan, name, inherited = []) =>
      launch({ executableFd, devNull, plan, name, inherited }),
    close: () => {
      closeFd(executableFd);
      closeFd(devNull);
    },
  };
}

async function launch(options: {
  executableFd: number;
  devNull: number;
  plan: readonly Operation[];
  name: string;
  inherited: readonly number[];
}): Promise<Launched> {
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
  const report = parseReport(await connection.report(), program);
  if (report.failedStep !== undefined) {
    connection.close();
    throw launchError(report, program);
  }
  return { program, report, supervisorPid, connection };
}

const FIRST_REAP_PAUSE_MS = 5;
const LONGEST_REAP_PAUSE_MS = 1_000;

/** The supervisor's socket closes a moment before it is a zombie that can be reaped. */
function reapWhenGone(pid: number, pauseMs: number = FIRST_REAP_PAUSE_MS): void {
  if (reap(pid)) return;
  const again = () => reapWhenGone(pid, Math.min(pauseMs * 2, LONGEST_REAP_PAUSE_MS));
  setTimeout(again, pauseMs).unref();
}
