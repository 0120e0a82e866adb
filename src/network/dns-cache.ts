import { decodeMessage, FLAG, HEADER_BYTES, type Message, RCODE, TYPE } from "./dns-message.ts";

const MOST_ENTRIES = 2_000;
/** Larger answers are rare, and asked for again. */
const LARGEST_BYTES = 4_096;
const LONGEST_SECONDS = 3_600;
/** RFC 2308 section 5 advises one to three hours at most; names of services that are being set up should not be missing for long. */
const LONGEST_NEGATIVE_SECONDS = 60;

interface Entry {
  readonly bytes: Buffer;
  readonly message: Message;
  readonly storedMs: number;
  readonly expiresMs: number;
}

/** Answers of upstream servers for as long as these allow, the least recently used ones dropped first. */
export class DnsCache {
  private readonly entries = new Map<string, Entry>();

  get(key: string, nowMs: number): Buffer | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    if (nowMs >= entry.expiresMs) return undefined;
    this.entries.set(key, entry);
    return aged(entry, Math.floor((nowMs - entry.storedMs) / 1_000));
  }

  put(key: string, bytes: Buffer, nowMs: number): void {
    if (bytes.length > LARGEST_BYTES) return;
    const message = decodeMessage(bytes);
    const seconds = lifetimeSeconds(message);
    if (seconds <= 0) return;
    this.entries.delete(key);
    this.entries.set(key, { bytes, message, storedMs: nowMs, expiresMs: nowMs + seconds * 1_000 });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MOST_ENTRIES) return;
      this.entries.delete(oldest);
    }
  }

  clear(): void {
    this.entries.clear();
  }
}

/** How long an answer holds: its shortest TTL; of "there is none", what the zone's SOA says (RFC 2308). 0: not to be kept. */
function lifetimeSeconds({ flags, answers, authorities, additionals }: Message): number {
  const rcode = flags & 0xf;
  if ((flags & FLAG.TC) !== 0 || (rcode !== RCODE.OK && rcode !== RCODE.NXDOMAIN)) return 0;
  if (rcode === RCODE.OK && answers.length > 0) {
    const records = [...answers, ...authorities, ...additionals];
    const lifetimes = records.filter(({ type }) => type !== TYPE.OPT).map(({ ttl }) => ttl);
    return Math.min(LONGEST_SECONDS, ...lifetimes);
  }
  const soa = authorities.find(({ type }) => type === TYPE.SOA);
  if (!soa || soa.data.length < 4) return 0;
  const minimum = Buffer.from(soa.data).readUInt32BE(soa.data.length - 4);
  return Math.min(LONGEST_NEGATIVE_SECONDS, soa.ttl, minimum, ...answers.map(({ ttl }) => ttl));
}

function aged({ bytes, message }: Entry, seconds: number): Buffer {
  const copy = Buffer.from(bytes);
  for (const { type, ttl, ttlOffset } of [
    ...message.answers,
    ...message.authorities,
    ...message.additionals,
  ]) {
    if (type !== TYPE.OPT && ttlOffset >= HEADER_BYTES) {
      copy.writeUInt32BE(Math.max(0, ttl - seconds), ttlOffset);
    }
  }
  return copy;
}
