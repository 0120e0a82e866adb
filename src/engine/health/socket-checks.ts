import { ERRNO, errnoName } from "../../base/errno.ts";
import { monotonicMs } from "../../kernel/clock.ts";
import { AF, socketInNamespaceOf } from "../../kernel/namespace-socket.ts";
import { closeFd } from "../../kernel/process.ts";
import { syscallRaw } from "../../kernel/syscall.ts";
import type { CheckTarget } from "./check-target.ts";
import { readHttpReply } from "./http-reply.ts";
import { socketAddress } from "./socket-address.ts";

const MSG_NOSIGNAL = 0x4000;
const POLLIN = 1;
const POLLOUT = 4;
const POLL_BYTES = 8;
const chunk = Buffer.alloc(16 * 1024);
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 64;

/** docker's word for a check that took too long is -1. */
export interface CheckOutcome {
  readonly exitCode: number;
  readonly output: string;
}

interface Check {
  readonly pidfd: () => number;
  readonly target: CheckTarget;
  readonly deadlineMs: number;
  readonly timedOut: () => CheckOutcome;
  readonly resolve: (outcome: CheckOutcome) => void;
  address: number;
  fd: number;
  isConnected: boolean;
  received: Buffer;
}

/**
 * Checks by TCP and HTTP from inside of containers' network namespaces, without a process there: non-blocking sockets that
 * were made in the namespace. All that are under way share one timer and one ppoll(2), in pauses that grow while nothing
 * happens: a connection to the loopback interface is there at once, and most replies within milliseconds.
 */
export class SocketChecks {
  private readonly checks = new Set<Check>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pauseMs = FIRST_PAUSE_MS;

  /** @param pidfd of the container's first process; throws when that has ended */
  check(
    pidfd: () => number,
    target: CheckTarget,
    limit: { timeoutMs: number; timedOut: () => CheckOutcome },
  ): Promise<CheckOutcome> {
    return new Promise((resolve) => {
      const check: Check = {
        pidfd,
        target,
        deadlineMs: monotonicMs() + limit.timeoutMs,
        timedOut: limit.timedOut,
        resolve,
        address: 0,
        fd: -1,
        isConnected: false,
        received: Buffer.alloc(0),
      };
      this.checks.add(check);
      this.connect(check);
      if (this.checks.has(check)) this.wait(FIRST_PAUSE_MS);
    });
  }

  close(): void {
    clearTimeout(this.timer);
    for (const { fd } of this.checks) closeFd(fd);
    this.checks.clear();
  }

  private wait(pauseMs: number): void {
    clearTimeout(this.timer);
    this.pauseMs = pauseMs;
    this.timer = setTimeout(() => {
      const hasMoved = this.poll([...this.checks]);
      if (this.checks.size > 0) {
        this.wait(hasMoved ? this.pauseMs : Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS));
      }
    }, pauseMs);
  }

  /** Returns whether anything came. */
  private poll(checks: readonly Check[]): boolean {
    const polls = Buffer.alloc(checks.length * POLL_BYTES);
    checks.forEach((check, index) => {
      polls.writeInt32LE(check.fd, index * POLL_BYTES);
      polls.writeUInt16LE(check.isConnected ? POLLIN : POLLOUT, index * POLL_BYTES + 4);
    });
    const found = syscallRaw("ppoll", polls, checks.length, new Uint8Array(16), null, 8);
    const nowMs = monotonicMs();
    checks.forEach((check, index) => {
      if (found > 0 && polls.readUInt16LE(index * POLL_BYTES + 6) !== 0) this.advance(check);
      if (this.checks.has(check) && nowMs >= check.deadlineMs) this.finish(check, check.timedOut());
    });
    return found > 0;
  }

  private advance(check: Check): void {
    if (check.isConnected) {
      this.read(check);
      return;
    }
    const result = connectSocket(check);
    if (result === -ERRNO.EALREADY || result === -ERRNO.EINPROGRESS) return;
    if (result < 0) this.refused(check, result);
    else if (check.target.path === "") {
      this.finish(check, { exitCode: 0, output: `Connected to ${addressWords(check)}` });
    } else {
      check.isConnected = true;
      const request = Buffer.from(
        `GET ${check.target.path} HTTP/1.1\r\nHost: ${check.target.authority}\r\n` +
          "User-Agent: tiffin-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
      );
      // The buffer of a new connection takes it whole.
      const sent = syscallRaw("sendto", check.fd, request, request.length, MSG_NOSIGNAL, null, 0);
      if (sent < 0) this.fail(check, `Cannot send to ${addressWords(check)}: ${errnoName(sent)}`);
    }
  }

  private connect(check: Check): void {
    const address = check.target.addresses[check.address] ?? "";
    try {
      check.fd = socketInNamespaceOf(check.pidfd(), address.includes(":") ? AF.INET6 : AF.INET);
    } catch (error) {
      this.fail(check, error instanceof Error ? error.message : String(error));
      return;
    }
    const begun = connectSocket(check);
    if (begun < 0 && begun !== -ERRNO.EINPROGRESS) this.refused(check, begun);
    // On the loopback interface the connection is there (or refused) by now.
    else this.advance(check);
  }

  /** Nobody is at that address; perhaps at the next one. */
  private refused(check: Check, result: number): void {
    if (check.address + 1 >= check.target.addresses.length) {
      this.fail(check, `Cannot connect to ${check.target.authority}: ${errnoName(result)}`);
      return;
    }
    closeFd(check.fd);
    check.address += 1;
    this.connect(check);
  }

  private read(check: Check): void {
    const got = syscallRaw("recvfrom", check.fd, chunk, chunk.length, 0, null, null);
    if (got === -ERRNO.EAGAIN) return;
    if (got > 0) check.received = Buffer.concat([check.received, chunk.subarray(0, got)]);
    const { status, isWhole, isForeign, words } = readHttpReply(check.received);
    if (!isWhole && got > 0) return;
    if (status === 0 || isForeign) {
      const why = got < 0 ? errnoName(got) : words;
      this.fail(check, `Cannot read from ${addressWords(check)}: ${why}`);
    } else {
      const isHealthy = status >= 200 && status < 400;
      this.finish(check, { exitCode: isHealthy ? 0 : 1, output: words });
    }
  }

  private fail(check: Check, output: string): void {
    this.finish(check, { exitCode: 1, output });
  }

  private finish(check: Check, outcome: CheckOutcome): void {
    if (check.fd >= 0) closeFd(check.fd);
    this.checks.delete(check);
    if (this.checks.size === 0) clearTimeout(this.timer);
    check.resolve(outcome);
  }
}

/** connect(2) begins a connection, and asked again tells what has become of it: 0 when it is there. */
function connectSocket({ fd, target, address }: Check): number {
  const bytes = socketAddress(target.addresses[address] ?? "", target.port);
  const result = syscallRaw("connect", fd, bytes, bytes.length);
  return result === -ERRNO.EISCONN ? 0 : result;
}

function addressWords({ target, address }: Check): string {
  const host = target.addresses[address] ?? "";
  return `${host.includes(":") ? `[${host}]` : host}:${target.port}`;
}
