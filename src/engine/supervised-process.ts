import { readFileSync } from "node:fs";
import { isTiffinError, TiffinError } from "../base/error.ts";
import { closeFd, openProcess } from "../kernel/process.ts";
import {
  closeStdinFrame,
  killFrame,
  resizeFrame,
  stdinFrame,
  subscribeFrame,
} from "../launch/frames.ts";
import {
  type ExitRecord,
  parseExitRecord,
  SupervisorConnection,
} from "../launch/supervisor-connection.ts";
import { type InputSink, Session } from "./attach-session.ts";
import { reachSupervisor } from "./reach-supervisor.ts";
import type { AttachRequest, OutputStream } from "./types.ts";

const LIVENESS_INTERVAL_MS = 300;

/** A process with a supervisor, seen from the engine: its sessions, its input, its end. */
export class SupervisedProcess {
  /** Resolves once the process has ended; undefined: its supervisor was lost with the status. */
  readonly ended: Promise<ExitRecord | undefined>;
  private readonly resolveEnded: (record: ExitRecord | undefined) => void;
  private readonly sessions = new Set<Session>();
  private readonly directory: string;
  private readonly tty: boolean;
  private readonly stdinOnce: boolean;
  private control: SupervisorConnection | undefined;
  private stdin: Promise<SupervisorConnection> | undefined;
  private pid = 0;
  private pidfd: number | undefined;
  private hasEnded = false;
  private isReleased = false;

  /** @param directory holds the supervisor's socket and exit record; short enough for a socket's address */
  constructor(options: { directory: string; tty: boolean; stdinOnce: boolean }) {
    this.directory = options.directory;
    this.tty = options.tty;
    this.stdinOnce = options.stdinOnce;
    const { promise, resolve } = Promise.withResolvers<ExitRecord | undefined>();
    this.ended = promise;
    this.resolveEnded = resolve;
  }

  /** Streams that some session wants: what the supervisor should send from the start. */
  wanted(): { stdout: boolean; stderr: boolean } {
    const sessions = [...this.sessions];
    return {
      stdout: sessions.some((session) => session.request.stdout),
      stderr: sessions.some((session) => session.request.stderr),
    };
  }

  /** The process runs: its supervisor is at the other end of this connection. */
  adopt(connection: SupervisorConnection, pid: number): void {
    this.pid = pid;
    this.pidfd ??= openProcess(pid);
    this.connect(connection);
    for (const session of this.sessions) session.begin(this.inputSink(session));
  }

  private connect(connection: SupervisorConnection): void {
    this.control = connection;
    let record: ExitRecord | undefined;
    connection.setHandlers({
      onOutput: (stream, data) => this.distribute(stream, data),
      onExit: (told) => {
        record = told;
        connection.close();
      },
    });
    connection.onClose(() => void this.disconnected(record));
  }

  /** A supervisor closes when its process has ended. One that closed without a word may still be there. */
  private async disconnected(told: ExitRecord | undefined): Promise<void> {
    if (this.isReleased) return;
    const record = told ?? readExitRecord(this.directory);
    const reached = record ? undefined : await reachSupervisor(this.directory);
    if (!reached) this.finish(record ?? readExitRecord(this.directory));
    else if (this.isReleased) reached.connection.close();
    else {
      this.connect(reached.connection);
      this.subscribe();
    }
  }

  /** It could not be started, or was ended without a supervisor to tell. */
  finish(record: ExitRecord | undefined, failure?: unknown): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.stdin?.then((connection) => connection.close()).catch(() => undefined);
    if (this.pidfd !== undefined) closeFd(this.pidfd);
    for (const session of this.sessions) session.end(failure);
    this.sessions.clear();
    this.resolveEnded(record);
  }

  attach(request: AttachRequest): Session {
    const session = new Session(request, this.tty, (closed) => {
      this.sessions.delete(closed);
      this.subscribe();
    });
    if (this.hasEnded) {
      session.end();
      return session;
    }
    this.sessions.add(session);
    if (this.control) session.begin(this.inputSink(session));
    this.subscribe();
    return session;
  }

  /** @throws conflict when the process does not run */
  async resize(rows: number, columns: number): Promise<void> {
    await this.sendOnce(resizeFrame(rows, columns));
  }

  /** @throws conflict when the process does not run */
  async signal(signal: number): Promise<void> {
    await this.sendOnce(killFrame(signal));
  }

  processId(): number {
    return this.pid;
  }

  /** A descriptor of the process, valid until it ends. @throws conflict when it does not run */
  descriptor(): number {
    if (this.pidfd === undefined || this.hasEnded)
      throw new TiffinError("conflict", "The process has ended");
    return this.pidfd;
  }

  /** Lets go of the supervisor; the process goes on, and `ended` stays open. */
  release(): void {
    this.isReleased = true;
    this.control?.close();
  }

  private async sendOnce(frame: Uint8Array): Promise<void> {
    const hasEnded = new TiffinError("conflict", "The process has ended");
    if (this.hasEnded) throw hasEnded;
    const connection = await SupervisorConnection.open(`${this.directory}/s`).catch(
      (error: unknown) => {
        throw isTiffinError(error, "not-found") ? hasEnded : error;
      },
    );
    await connection.send(frame);
    connection.close();
  }

  private subscribe(): void {
    if (!this.hasEnded) void this.control?.send(subscribeFrame(this.wanted()));
  }

  private distribute(stream: OutputStream, data: Uint8Array): Promise<void> | undefined {
    const waits: Promise<void>[] = [];
    for (const session of this.sessions) {
      const wait = session.deliver(stream, data);
      if (wait) waits.push(wait);
    }
    if (waits.length === 0) return undefined;
    return Promise.race([Promise.all(waits).then(() => undefined), this.gone()]);
  }

  /**
   * Resolves once the process is dead. What it left is little, and its supervisor waits for slow clients only so long:
   * from then on everything is taken.
   */
  private async gone(): Promise<void> {
    while (!this.hasEnded && isAlive(this.pid)) await Bun.sleep(LIVENESS_INTERVAL_MS);
  }

  /** Input has a connection of its own, so that a container that does not read holds up nothing else. */
  private inputSink(session: Session): InputSink | undefined {
    if (!session.request.stdin) return undefined;
    const connection = (this.stdin ??= SupervisorConnection.open(`${this.directory}/s`));
    connection.catch(() => undefined);
    return {
      write: async (data) => (await connection).send(stdinFrame(data)),
      close: () => {
        if (!this.stdinOnce) return;
        connection.then((open) => open.send(closeStdinFrame())).catch(() => undefined);
      },
    };
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The record that a supervisor left; undefined when there is none, or a torn one. */
export function readExitRecord(directory: string): ExitRecord | undefined {
  try {
    return parseExitRecord(readFileSync(`${directory}/exit`, "utf8"));
  } catch {
    return undefined;
  }
}
