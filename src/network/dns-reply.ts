import type { DnsForwarder } from "./dns-forwarder.ts";
import {
  type AnswerRecord,
  CLASS_IN,
  decodeMessage,
  encodeEdns,
  encodeHeader,
  encodeRecord,
  findEdns,
  FLAG,
  HEADER_BYTES,
  MalformedMessage,
  type Message,
  OPCODE_MASK,
  RCODE,
} from "./dns-message.ts";
import { answerName, type NameTable } from "./dns-names.ts";
import type { Upstream } from "./dns-upstream.ts";

/** What a container that asks may know. */
export interface Asker {
  names(): NameTable;
  /** Whom to ask what is not in the table; none: the container's networks do not lead out. */
  upstreams(): readonly Upstream[];
}

const SMALLEST_LIMIT = 512;
const LARGEST_DATAGRAM = 4_096;
const BADVERS = 1 << 24;

let turns = 0;

/**
 * The reply to what a container has sent; undefined: it gets none, being no query.
 * @param isStream by TCP, where a reply may have any length
 */
export async function replyTo(
  bytes: Buffer,
  how: { isStream: boolean; asker: Asker; forwarder: DnsForwarder },
): Promise<Buffer | undefined> {
  if (bytes.length < HEADER_BYTES || (bytes.readUInt16BE(2) & FLAG.QR) !== 0) return undefined;
  const query = decode(bytes);
  if (!query) return withoutQuestion(bytes, RCODE.FORMERR);
  if ((query.flags & OPCODE_MASK) !== 0) return withoutQuestion(bytes, RCODE.NOTIMP);
  const [question] = query.questions;
  if (!question || query.questions.length > 1) return withoutQuestion(bytes, RCODE.FORMERR);
  const edns = findEdns(query);
  const limit = how.isStream ? 0xffff : datagramLimit(edns?.class);
  if (edns && ((edns.ttl >> 16) & 0xff) !== 0)
    return build({ query, bytes, limit, ednsFlags: BADVERS });
  const records =
    question.class === CLASS_IN ? answerName(question, how.asker.names(), turns++) : undefined;
  if (records) return build({ query, bytes, limit, records });
  const upstreams = how.asker.upstreams();
  const answer =
    upstreams.length === 0 ? undefined : await how.forwarder.forward(query, bytes, upstreams);
  if (!answer) return build({ query, bytes, limit, rcode: RCODE.SERVFAIL });
  if (answer.length <= limit) return answer;
  return build({ query, bytes, limit, rcode: (answer[3] ?? 0) & 0xf, flags: FLAG.TC });
}

/** What is said when a client asks for too much at once. */
export function refusal(bytes: Buffer): Buffer | undefined {
  return bytes.length < HEADER_BYTES ? undefined : withoutQuestion(bytes, RCODE.SERVFAIL);
}

function decode(bytes: Buffer): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined;
    throw error;
  }
}

function datagramLimit(size: number | undefined): number {
  return Math.min(LARGEST_DATAGRAM, Math.max(SMALLEST_LIMIT, size ?? SMALLEST_LIMIT));
}

function withoutQuestion(bytes: Buffer, rcode: number): Buffer {
  const kept = bytes.readUInt16BE(2) & (OPCODE_MASK | FLAG.RD);
  return encodeHeader({
    id: bytes.readUInt16BE(0),
    flags: FLAG.QR | FLAG.RA | kept | rcode,
    questions: 0,
  });
}

interface Reply {
  readonly query: Message;
  readonly bytes: Buffer;
  readonly limit: number;
  readonly records?: readonly AnswerRecord[];
  readonly rcode?: number;
  readonly flags?: number;
  readonly ednsFlags?: number;
}

/** As many of the records as fit; that there are more is marked, and most clients ask again by TCP. */
function build({
  query,
  bytes,
  limit,
  records = [],
  rcode = 0,
  flags = 0,
  ednsFlags = 0,
}: Reply): Buffer {
  const question = bytes.subarray(HEADER_BYTES, query.questionsEnd);
  const edns = findEdns(query) ? [encodeEdns(ednsFlags)] : [];
  let room = limit - HEADER_BYTES - question.length - (edns[0]?.length ?? 0);
  const fitting: Buffer[] = [];
  for (const record of records.map(encodeRecord)) {
    room -= record.length;
    if (room < 0) break;
    fitting.push(record);
  }
  const isCut = fitting.length < records.length;
  const header = encodeHeader({
    id: query.id,
    flags: FLAG.QR | FLAG.RA | (query.flags & FLAG.RD) | (isCut ? FLAG.TC : 0) | flags | rcode,
    answers: fitting.length,
    additionals: edns.length,
  });
  return Buffer.concat([header, question, ...fitting, ...edns]);
}
