import { TiffinError } from "../base/error.ts";
import type { Operation } from "../base/operation.ts";
import { closeFd, createMemoryFile, socketPair, spawn } from "../kernel/process.ts";
import { ARCHITECTURE, syscallError, syscallRaw } from "../kernel/syscall.ts";
import { compile, type LaunchProgram } from "./compile.ts";
import { STAGE } from "./frames.ts";
import { launchError, parseReport } from "./report.ts";

/** Of the launcher's socket: what native/launch.h says of a failure. */
const REPORT = 3;
const HEADER_SIZE = 8;
const MSG_NOSIGNAL = 0x4000;
const EINTR = -4;

/** A launcher that runs beside this process without an event loop between them: each side waits for the other. */
export interface RunningProgram {
  readonly launcherPid: number;
  /**
   * Waits for the next stage that the plan tells (a {@link planStage}) and gives its value.
   * @throws the failed step's error; internal when the launcher ended without a word
   */
  stage(): number;
  /** For a plan without stages whose launcher itself becomes a program: waits until it has. @throws as `stage` */
  executed(): void;
  /** Lets a plan that waits in {@link planStage} go on. */
  goOn(): void;
  close(): void;
}

/**
 * Starts a launcher with a plan that ends in exit_group or exec rather than in a supervisor.
 * @param options.streams the launcher's descriptors 0, 1 and 2
 * @param options.inherited descriptors that the plan finds from FIRST_INHERITED_FD on
 */
export function startProgram(options: {
  readonly executable: Uint8Array;
  readonly plan: readonly Operation[];
  readonly name: string;
  readonly streams: readonly [number, number, number];
  readonly inherited: readonly number[];
}): RunningProgram {
  const program = compile(options.plan, ARCHITECTURE);
  const executable = createMemoryFile("tiffin-launch", options.executable, { sealed: true });
  const programFd = createMemoryFile("tiffin-program", program.bytes, { sealed: false });
  const [ours, theirs] = socketPair();
  try {
    const fds = [...options.streams, theirs, programFd, ...options.inherited];
    const launcherPid = spawn(executable, options.name, fds);
    return running(program, launcherPid, ours);
  } catch (error) {
    closeFd(ours);
    throw error;
  } finally {
    for (const fd of [theirs, programFd, executable]) closeFd(fd);
  }
}

function running(program: LaunchProgram, launcherPid: number, socket: number): RunningProgram {
  /** The value of a stage; undefined when the other side has closed. */
  const next = (): number | undefined => {
    const header = readExactly(socket, HEADER_SIZE);
    if (header === undefined) return undefined;
    const payload = readExactly(socket, header.readUInt32LE(4));
    if (payload !== undefined && header.readUInt32LE(0) === STAGE) return payload.readInt32LE(0);
    if (payload !== undefined && header.readUInt32LE(0) === REPORT) {
      throw launchError(parseReport(payload, program), program);
    }
    throw new TiffinError("internal", "Cannot launch: the launcher sent an unknown frame");
  };
  return {
    launcherPid,
    stage: () => {
      const value = next();
      if (value === undefined) {
        throw new TiffinError("internal", "Cannot launch: the launcher ended without a report");
      }
      return value;
    },
    executed: () => void next(),
    goOn: () => {
      const result = syscallRaw("sendto", socket, Buffer.from([1]), 1, MSG_NOSIGNAL, null, 0);
      if (result < 0) throw syscallError("sendto", result, "let the launcher go on");
    },
    close: () => closeFd(socket),
  };
}

function readExactly(fd: number, size: number): Buffer | undefined {
  const bytes = Buffer.alloc(size);
  for (let have = 0; have < size; ) {
    const got = syscallRaw("read", fd, bytes.subarray(have), size - have);
    if (got === EINTR) continue;
    if (got <= 0) return undefined;
    have += got;
  }
  return bytes;
}
