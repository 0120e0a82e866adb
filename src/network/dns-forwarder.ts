import { monotonicMs } from "../kernel/clock.ts";
import { DnsCache } from "./dns-cache.ts";
import {
  EDNS_DO,
  encodeEdns,
  encodeHeader,
  findEdns,
  FLAG,
  HEADER_BYTES,
  type Message,
} from "./dns-message.ts";
import { askUpstreams, questionKey, type Upstream } from "./dns-upstream.ts";

/** Asks the world what the engine does not know itself, each thing once at a time, and remembers it for as long as it holds. */
export class DnsForwarder {
  private readonly cache = new DnsCache();
  private readonly underWay = new Map<string, Promise<Buffer | undefined>>();

  /**
   * The answer to a query, with the query's ID and question; undefined when nobody answers.
   * @param query with one question
   * @param bytes the same, as it came
   */
  async forward(
    query: Message,
    bytes: Buffer,
    upstreams: readonly Upstream[],
  ): Promise<Buffer | undefined> {
    const [question] = query.questions;
    if (!question) return undefined;
    const edns = findEdns(query);
    const flags = query.flags & (FLAG.RD | FLAG.CD);
    const wants = edns ? edns.ttl & EDNS_DO : -1;
    const servers = upstreams.map(({ address, port }) => `${address} ${port}`).join();
    const key = `${questionKey(question)} ${flags} ${wants} ${servers}`;
    const kept = this.cache.get(key, monotonicMs());
    const questionBytes = bytes.subarray(HEADER_BYTES, query.questionsEnd);
    if (kept) return readdressed(kept, query.id, questionBytes);
    let answer = this.underWay.get(key);
    if (!answer) {
      const asked = Buffer.concat([
        encodeHeader({ id: 0, flags, additionals: edns ? 1 : 0 }),
        questionBytes,
        ...(edns ? [encodeEdns(wants)] : []),
      ]);
      answer = this.ask(key, asked, upstreams);
      this.underWay.set(key, answer);
    }
    const found = await answer;
    return found && readdressed(found, query.id, questionBytes);
  }

  /** Forgets all: the servers have changed. */
  clear(): void {
    this.cache.clear();
  }

  private async ask(
    key: string,
    asked: Buffer,
    upstreams: readonly Upstream[],
  ): Promise<Buffer | undefined> {
    try {
      const answer = await askUpstreams(asked, upstreams);
      if (answer) this.cache.put(key, answer, monotonicMs());
      return answer;
    } finally {
      this.underWay.delete(key);
    }
  }
}

/** The answer for another one who asked the same: clients compare the ID, and some the case of the name's letters. */
function readdressed(answer: Buffer, id: number, question: Buffer): Buffer {
  const copy = Buffer.from(answer);
  copy.writeUInt16BE(id, 0);
  copy.writeUInt16BE(copy.readUInt16BE(2) | FLAG.RA, 2);
  if (copy.readUInt16BE(4) === 1) question.copy(copy, HEADER_BYTES);
  return copy;
}
