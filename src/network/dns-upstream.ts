import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { ipVersion } from "../base/ip-address.ts";
import { decodeMessage, FLAG, type Message, type Question, RCODE } from "./dns-message.ts";

/** A server that is asked: an address, and a port that is not 53 in tests only. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

const TIMEOUT_MS = 4_000;
/** A datagram may be lost. */
const AGAIN_MS = 1_000;

/**
 * Asks all servers at once, by datagram; a truncated answer is asked for again by TCP. The first answer that says what there is
 * counts; one that says that the server could not tell counts when no other does better.
 *
 * @param query a whole message; its ID is replaced by a random one, and the answer has that
 * @returns undefined when nobody answers
 */
export async function askUpstreams(
  query: Buffer,
  upstreams: readonly Upstream[],
  timeoutMs: number = TIMEOUT_MS,
): Promise<Buffer | undefined> {
  const reachable = upstreams.filter(({ address }) => versionOf(address) !== 0);
  if (reachable.length === 0) return undefined;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutMs);
  try {
    return await firstGood(reachable.map((one) => askOne(query, one, stop.signal)));
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** Of an address that may name its interface: fe80::1%eth0. */
function versionOf(address: string): 0 | 4 | 6 {
  return ipVersion(address.replace(/%.*/, ""));
}

function firstGood(asked: readonly Promise<Buffer | undefined>[]): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let open = asked.length;
    let bad: Buffer | undefined;
    const settle = (answer: Buffer | undefined): void => {
      open -= 1;
      const rcode = answer ? (answer[3] ?? 0) & 0xf : -1;
      if (rcode === RCODE.OK || rcode === RCODE.NXDOMAIN) resolve(answer);
      else bad ??= answer;
      if (open === 0) resolve(bad);
    };
    for (const one of asked) one.then(settle, () => settle(undefined));
  });
}

async function askOne(
  query: Buffer,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const asked = Buffer.from(query);
  // From a random port, with a random ID: what an attacker would have to guess (RFC 5452).
  asked.writeUInt16BE(randomInt(0x1_0000), 0);
  const answer = await askByDatagram(asked, upstream, signal);
  if (!answer || (answer.readUInt16BE(2) & FLAG.TC) === 0) return answer;
  return (await askByStream(asked, upstream, signal)) ?? answer;
}

function askByDatagram(
  asked: Buffer,
  { address, port }: Upstream,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(versionOf(address) === 6 ? "udp6" : "udp4");
    let again: ReturnType<typeof setInterval> | undefined;
    const finish = (answer?: Buffer): void => {
      clearInterval(again);
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners("message");
      try {
        socket.close();
      } catch {
        // It was never opened, or is closed.
      }
      resolve(answer);
    };
    const onAbort = (): void => finish();
    const send = (): void => {
      socket.send(asked, (error) => {
        if (error) finish();
      });
    };
    signal.addEventListener("abort", onAbort);
    socket.on("error", () => finish());
    socket.on("message", (bytes) => {
      if (isAnswerTo(bytes, asked)) finish(bytes);
    });
    // From then on the kernel lets in what the server sends alone, and tells when nobody is there.
    socket.connect(port, address, () => {
      again = setInterval(send, AGAIN_MS);
      send();
    });
  });
}

function askByStream(
  asked: Buffer,
  { address, port }: Upstream,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let received = Buffer.alloc(0);
    const finish = (answer?: Buffer): void => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(answer);
    };
    const onAbort = (): void => finish();
    signal.addEventListener("abort", onAbort);
    socket.on("error", () => finish());
    socket.on("close", () => finish());
    socket.on("connect", () => socket.write(framed(asked)));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const answer = received.subarray(2, end);
      finish(isAnswerTo(answer, asked) ? answer : undefined);
    });
  });
}

/** A message on a stream has its length before it (RFC 1035 section 4.2.2). */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function isAnswerTo(bytes: Buffer, asked: Buffer): boolean {
  try {
    const answer = decodeMessage(bytes);
    const question = decodeMessage(asked);
    return (
      answer.id === question.id &&
      (answer.flags & FLAG.QR) !== 0 &&
      (sameQuestion(answer, question) || isRefusalWithoutQuestion(answer))
    );
  } catch {
    // Not a DNS message: somebody else's.
    return false;
  }
}

function isRefusalWithoutQuestion({ flags, questions }: Message): boolean {
  return questions.length === 0 && (flags & 0xf) !== RCODE.OK;
}

function sameQuestion({ questions: [one] }: Message, { questions: [other] }: Message): boolean {
  return one !== undefined && other !== undefined && questionKey(one) === questionKey(other);
}

/** The same for questions that are the same. */
export function questionKey({ name, type, class: kind }: Question): string {
  return `${type} ${kind} ${name.toLowerCase()}`;
}
