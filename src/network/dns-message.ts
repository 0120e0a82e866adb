/**
 * DNS messages (RFC 1035 section 4, EDNS RFC 6891). What comes in is hostile: each length is checked, a compressed name may only
 * point backwards, and nothing is read past the end.
 */

export const TYPE = { A: 1, SOA: 6, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const RCODE = {
  OK: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;
/** Bits of the header's second word. */
export const FLAG = { QR: 0x8000, TC: 0x0200, RD: 0x0100, RA: 0x0080, CD: 0x0010 } as const;
export const OPCODE_MASK = 0x7800;
export const CLASS_IN = 1;
export const HEADER_BYTES = 12;

export interface Question {
  /** Without the last dot; a dot or backslash within a label has a backslash before it. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord extends Question {
  /** Seconds; of an OPT record, its flags. */
  readonly ttl: number;
  /** Where in the message the TTL stands. */
  readonly ttlOffset: number;
  readonly data: Uint8Array;
}

export interface Message {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** Where the questions end. */
  readonly questionsEnd: number;
}

/** A record to be sent: its name is that of the question. */
export interface AnswerRecord {
  readonly type: number;
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** The bytes are not a DNS message. */
export class MalformedMessage extends Error {}

const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;

class Reader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  skip(count: number): number {
    const start = this.at;
    if (start + count > this.bytes.length) throw new MalformedMessage("it ends too early");
    this.at += count;
    return start;
  }

  word(): number {
    return this.bytes.readUInt16BE(this.skip(2));
  }

  name(): string {
    const labels: string[] = [];
    let length = 1;
    let at = this.at;
    let isMoved = false;
    // Each pointer must lead before all that was read of the name so far: there is no loop.
    let limit = at;
    for (;;) {
      const size = this.bytes[at];
      if (size === undefined) throw new MalformedMessage("a name ends too early");
      if (size >= 0xc0) {
        const low = this.bytes[at + 1];
        if (low === undefined) throw new MalformedMessage("a name ends too early");
        const target = ((size & 0x3f) << 8) | low;
        if (target >= limit) throw new MalformedMessage("a name points forward");
        if (!isMoved) this.at = at + 2;
        isMoved = true;
        limit = target;
        at = target;
      } else if (size === 0) {
        if (!isMoved) this.at = at + 1;
        return labels.join(".");
      } else {
        length += size + 1;
        if (size > LONGEST_LABEL || length > LONGEST_NAME || at + size >= this.bytes.length) {
          throw new MalformedMessage("a name is too long");
        }
        const label = this.bytes.toString("latin1", at + 1, at + 1 + size);
        labels.push(label.replace(/[.\\]/g, "\\$&"));
        at += size + 1;
      }
    }
  }

  question(): Question {
    return { name: this.name(), type: this.word(), class: this.word() };
  }

  record(): ResourceRecord {
    const question = this.question();
    const ttlOffset = this.skip(4);
    const ttl = this.bytes.readUInt32BE(ttlOffset);
    const length = this.word();
    const start = this.skip(length);
    return { ...question, ttl, ttlOffset, data: this.bytes.subarray(start, start + length) };
  }
}

/** @throws MalformedMessage */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  const [id, flags] = [reader.word(), reader.word()];
  const counts = [reader.word(), reader.word(), reader.word(), reader.word()];
  const list = <T>(index: number, read: () => T): T[] =>
    Array.from({ length: counts[index] ?? 0 }, read);
  const questions = list(0, () => reader.question());
  const questionsEnd = reader.at;
  const record = (): ResourceRecord => reader.record();
  const answers = list(1, record);
  const authorities = list(2, record);
  const additionals = list(3, record);
  return { id, flags, questions, answers, authorities, additionals, questionsEnd };
}

/** A name in uncompressed form. @throws MalformedMessage when it is none */
export function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(/(?<!(?<!\\)(?:\\\\)*\\)\./);
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label.replace(/\\(.)/g, "$1"), "latin1");
    if (bytes.length === 0 || bytes.length > LONGEST_LABEL) {
      throw new MalformedMessage(`"${name}" is not a name`);
    }
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  const encoded = Buffer.concat([...parts, Buffer.of(0)]);
  if (encoded.length > LONGEST_NAME) throw new MalformedMessage(`"${name}" is too long`);
  return encoded;
}

export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly answers?: number;
  readonly additionals?: number;
  readonly questions?: number;
}

export function encodeHeader(header: Header): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const words = [
    header.id,
    header.flags,
    header.questions ?? 1,
    header.answers ?? 0,
    0,
    header.additionals ?? 0,
  ];
  words.forEach((word, index) => bytes.writeUInt16BE(word, index * 2));
  return bytes;
}

const POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES;

/** A record whose name is the message's question. */
export function encodeRecord({ type, ttl, data }: AnswerRecord): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(POINTER_TO_QUESTION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(CLASS_IN, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/** Bytes that we take in one datagram: what passes everywhere unfragmented (DNS flag day 2020). */
export const EDNS_SIZE = 1232;
/** DNSSEC records are wanted (RFC 3225). */
export const EDNS_DO = 0x8000;

/** The OPT record that tells of EDNS (RFC 6891 section 6.1). @param flags with the upper bits of the RCODE in bits 24 to 31 */
export function encodeEdns(flags: number): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(TYPE.OPT, 1);
  bytes.writeUInt16BE(EDNS_SIZE, 3);
  bytes.writeUInt32BE(flags, 5);
  return bytes;
}

export function findEdns({ additionals }: Message): ResourceRecord | undefined {
  return additionals.find(({ type }) => type === TYPE.OPT);
}
