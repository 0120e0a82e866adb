import { afterEach, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { DnsForwarder } from "./dns-forwarder.ts";
import {
  decodeMessage,
  encodeEdns,
  encodeHeader,
  encodeName,
  encodeRecord,
  FLAG,
  RCODE,
  TYPE,
} from "./dns-message.ts";
import { replyTo } from "./dns-reply.ts";
import { askUpstreams, framed, type Upstream } from "./dns-upstream.ts";

const open: (Socket | Server)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const address = (last: number) => ({ type: TYPE.A, ttl: 60, data: Uint8Array.of(10, 0, 0, last) });
const query = (name: string, more: Buffer[] = []): Buffer =>
  Buffer.concat([
    encodeHeader({ id: 0x1234, flags: FLAG.RD, additionals: more.length }),
    encodeName(name),
    Buffer.of(0, 1, 0, 1),
    ...more,
  ]);

/** Answers each query with what `make` gives for it, by UDP, and by TCP at the same port. */
async function upstream(
  make: (asked: Buffer, isStream: boolean) => Buffer | undefined,
): Promise<Upstream> {
  const streams = createServer((socket) =>
    socket.on("data", (bytes: Buffer) => {
      const answer = make(bytes.subarray(2), true);
      if (answer) socket.write(framed(answer));
    }),
  );
  await new Promise<void>((resolve) => streams.listen(0, "127.0.0.1", resolve));
  const place = streams.address();
  const port = typeof place === "object" && place ? place.port : 0;
  const datagrams = createSocket("udp4");
  datagrams.on("message", (bytes, from) => {
    const answer = make(bytes, false);
    if (answer) datagrams.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => datagrams.bind(port, "127.0.0.1", resolve));
  open.push(streams, datagrams);
  return { address: "127.0.0.1", port };
}

function answerTo(asked: Buffer, how: { count?: number; flags?: number } = {}): Buffer {
  const { id, questionsEnd } = decodeMessage(asked);
  const count = how.count ?? 1;
  return Buffer.concat([
    encodeHeader({ id, flags: FLAG.QR | FLAG.RD | (how.flags ?? 0), answers: count }),
    asked.subarray(12, questionsEnd),
    ...Array.from({ length: count }, (_, index) => encodeRecord(address(index + 1))),
  ]);
}

const forwarder = new DnsForwarder();
const ask = async (bytes: Buffer, upstreams: Upstream[], isStream = false) => {
  const asker = {
    names: () => ({ networks: [], links: new Map(), host: { ipv4: "", ipv6: "" } }),
    upstreams: () => upstreams,
  };
  return decodeMessage((await replyTo(bytes, { isStream, asker, forwarder })) ?? Buffer.alloc(0));
};

test("an answer has the asker's ID and letters, and is asked for once", async () => {
  let asked = 0;
  const server = await upstream((bytes) => {
    asked += 1;
    return answerTo(bytes);
  });
  const both = await Promise.all([
    ask(query("one.test"), [server]),
    ask(query("one.test"), [server]),
  ]);
  const third = await ask(query("ONE.test"), [server]);
  expect(asked).toBe(1);
  for (const { id, answers } of both) expect([id, answers.length]).toEqual([0x1234, 1]);
  expect(third.questions[0]?.name).toBe("ONE.test");
});

test("a truncated answer is had by TCP, and truncated again for who asked by UDP", async () => {
  const server = await upstream((bytes, isStream) =>
    isStream ? answerTo(bytes, { count: 60 }) : answerTo(bytes, { count: 0, flags: FLAG.TC }),
  );
  expect((await ask(query("many.test"), [server], true)).answers).toHaveLength(60);
  const short = await ask(query("many.test"), [server]);
  expect(short.flags & FLAG.TC).toBe(FLAG.TC);
  expect((await ask(query("many.test", [encodeEdns(0)]), [server])).answers).toHaveLength(60);
});

test("the first server that knows counts, and none is SERVFAIL", async () => {
  const silent = await upstream(() => undefined);
  const failing = await upstream((bytes) => answerTo(bytes, { count: 0, flags: RCODE.SERVFAIL }));
  const knowing = await upstream((bytes) => answerTo(bytes));
  expect((await ask(query("two.test"), [silent, failing, knowing])).answers).toHaveLength(1);
  expect((await ask(query("three.test"), [failing])).flags & 0xf).toBe(RCODE.SERVFAIL);
  expect((await ask(query("four.test"), [])).flags & 0xf).toBe(RCODE.SERVFAIL);
  expect(await askUpstreams(query("five.test"), [silent], 50)).toBeUndefined();
});

test("an answer with another ID or question is not one", async () => {
  const liar = await upstream((bytes) => {
    const answer = answerTo(bytes);
    answer.writeUInt16BE((answer.readUInt16BE(0) + 1) & 0xffff, 0);
    return answer;
  });
  const other = await upstream((bytes) => {
    const answer = answerTo(query("evil.test"));
    bytes.copy(answer, 0, 0, 2);
    return answer;
  });
  expect(await askUpstreams(query("good.test"), [liar, other], 100)).toBeUndefined();
});
