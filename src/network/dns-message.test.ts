import { expect, test } from "bun:test";
import {
  decodeMessage,
  encodeHeader,
  encodeName,
  encodeRecord,
  MalformedMessage,
  TYPE,
} from "./dns-message.ts";

const question = (name: string, type: number = TYPE.A): Buffer =>
  Buffer.concat([encodeName(name), Buffer.of(0, type, 0, 1)]);
const message = (...parts: Buffer[]): Buffer =>
  Buffer.concat([encodeHeader({ id: 7, flags: 0x8180, answers: parts.length - 1 }), ...parts]);

test("a name that points back is whole", () => {
  const record = encodeRecord({ type: TYPE.A, ttl: 9, data: Uint8Array.of(10, 0, 0, 1) });
  const { questions, answers } = decodeMessage(message(question("Web.example"), record));
  expect(questions).toEqual([{ name: "Web.example", type: TYPE.A, class: 1 }]);
  expect(answers[0]).toMatchObject({ name: "Web.example", ttl: 9, data: Buffer.of(10, 0, 0, 1) });
});

test("a dot within a label stays one", () => {
  const { questions } = decodeMessage(message(question("a\\.b.c\\\\")));
  expect(questions[0]?.name).toBe("a\\.b.c\\\\");
});

test("pointers that go on for ever, or forward, are refused", () => {
  for (const name of [[0xc0, 12], [0xc0, 14, 0xc0, 12], [1, 97, 0xc0, 12], [0xc0, 40], [0xc0]]) {
    const bytes = Buffer.concat([
      encodeHeader({ id: 1, flags: 0 }),
      Buffer.from(name),
      Buffer.of(0, 1, 0, 1),
    ]);
    expect(() => decodeMessage(bytes)).toThrow(MalformedMessage);
  }
});

test("names and labels that are too long are refused", () => {
  const long = Array.from({ length: 5 }, () => "a".repeat(60)).join(".");
  expect(() => encodeName(long)).toThrow(MalformedMessage);
  expect(() => encodeName("a".repeat(64))).toThrow(MalformedMessage);
  expect(() => encodeName("a..b")).toThrow(MalformedMessage);
  const bytes = Buffer.concat([
    encodeHeader({ id: 1, flags: 0 }),
    ...Array.from({ length: 5 }, () => Buffer.concat([Buffer.of(60), Buffer.alloc(60, 97)])),
    Buffer.of(0, 0, 1, 0, 1),
  ]);
  expect(() => decodeMessage(bytes)).toThrow(MalformedMessage);
});

test("whatever comes, it is a message or malformed", () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const record = encodeRecord({ type: TYPE.A, ttl: 9, data: Uint8Array.of(10, 0, 0, 1) });
  const whole = message(question("web.example.org"), record, record);
  let malformed = 0;
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(whole.subarray(0, 1 + random(whole.length)));
    for (let change = random(6); change > 0; change--) bytes[random(bytes.length)] = random(256);
    try {
      decodeMessage(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedMessage);
      malformed += 1;
    }
  }
  expect(malformed).toBeGreaterThan(1_000);
});
