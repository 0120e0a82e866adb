/** A name server of the test's own, at an address of its own on the host's loopback, port 53: it does what it is told, by UDP and TCP. */
import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { decodeMessage, encodeName, FLAG, TYPE } from "../../src/network/dns-message.ts";
import { framed } from "../../src/network/dns-upstream.ts";

/** What is asked. */
export interface Asked {
  /** As it came, in whichever case. */
  readonly name: string;
  readonly type: number;
  readonly isStream: boolean;
}

export interface Said {
  readonly records?: readonly {
    readonly type: number;
    readonly ttl: number;
    readonly data: Uint8Array;
  }[];
  readonly rcode?: number;
  readonly isTruncated?: boolean;
  /** A zone's record of authority, whose minimum and TTL are this, seconds. */
  readonly authoritySeconds?: number;
  readonly afterMs?: number;
  /** With another ID than was asked with, or about another name. */
  readonly lie?: "id" | "name";
}

export interface DnsUpstream {
  readonly address: string;
  /** All queries so far, in order. */
  readonly asked: Asked[];
  /** Undefined: it stays silent. */
  answer: (asked: Asked) => Said | undefined;
  close(): void;
}

const PORT = 53;

export async function openDnsUpstream(
  address: string,
  answer: DnsUpstream["answer"],
): Promise<DnsUpstream> {
  const datagrams = createSocket("udp4");
  const connections = new Set<Socket>();
  const self: DnsUpstream = {
    address,
    asked: [],
    answer,
    close: () => {
      datagrams.close();
      streams.close();
      for (const connection of connections) connection.destroy();
    },
  };
  const reply = (bytes: Buffer, isStream: boolean, send: (reply: Buffer) => void): void => {
    const [question] = decodeMessage(bytes).questions;
    if (!question) return;
    const asked = { name: question.name, type: question.type, isStream };
    self.asked.push(asked);
    const said = self.answer(asked);
    if (said) setTimeout(() => send(encode(bytes, said)), said.afterMs ?? 0);
  };
  datagrams.on("message", (bytes, { port, address: from }) =>
    reply(bytes, false, (answered) => datagrams.send(answered, port, from, () => undefined)),
  );
  const streams = createServer((socket) => {
    connections.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) =>
      reply(bytes.subarray(2), true, (answered) => socket.write(framed(answered))),
    );
  });
  await new Promise<void>((resolve) => datagrams.bind(PORT, address, resolve));
  await new Promise<void>((resolve) => streams.listen(PORT, address, resolve));
  return self;
}

function encode(query: Buffer, said: Said): Buffer {
  const { records = [], rcode = 0, isTruncated = false, authoritySeconds, lie } = said;
  const { id, questionsEnd } = decodeMessage(query);
  const question =
    lie === "name"
      ? Buffer.concat([encodeName("other.test"), Buffer.of(0, TYPE.A, 0, 1)])
      : query.subarray(12, questionsEnd);
  const authority = authoritySeconds === undefined ? [] : [startOfAuthority(authoritySeconds)];
  const flags = FLAG.QR | FLAG.RD | FLAG.RA | (isTruncated ? FLAG.TC : 0) | rcode;
  const head = words(lie === "id" ? id ^ 1 : id, flags, 1, records.length, authority.length, 0);
  return Buffer.concat([head, question, ...records.map(encodeOne), ...authority]);
}

function encodeOne(record: { type: number; ttl: number; data: Uint8Array }): Buffer {
  const { type, ttl, data } = record;
  const POINTER_TO_QUESTION = 0xc00c;
  const head = words(POINTER_TO_QUESTION, type, 1, ttl >>> 16, ttl & 0xffff, data.length);
  return Buffer.concat([head, data]);
}

function startOfAuthority(seconds: number): Buffer {
  const numbers = [1, 2, 3, 4, seconds].flatMap((value) => [value >>> 16, value & 0xffff]);
  const data = Buffer.concat([encodeName("ns.test"), encodeName("me.test"), words(...numbers)]);
  return encodeOne({ type: TYPE.SOA, ttl: seconds, data });
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2));
  return bytes;
}
