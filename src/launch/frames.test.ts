import { expect, test } from "bun:test";
import { type Frame, FrameReader } from "./frames.ts";

function frame(type: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

function read(chunks: Buffer[]): string[] {
  const frames: string[] = [];
  const reader = new FrameReader(({ type, payload }: Frame) => {
    frames.push(`${type}:${Buffer.from(payload).toString()}`);
  });
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

test("output comes in pieces as it arrives", () => {
  const bytes = Buffer.concat([frame(0, "hello"), frame(1, "oops")]);
  expect(read([bytes.subarray(0, 10), bytes.subarray(10)])).toEqual([
    "stdout:he",
    "stdout:llo",
    "stderr:oops",
  ]);
});

test("an exit record comes whole, however it is cut", () => {
  const bytes = Buffer.concat([frame(0, "x"), frame(2, "record"), frame(0, "y")]);
  const single = [...bytes].map((byte) => Buffer.of(byte));
  expect(read(single)).toEqual(["stdout:x", "exit:record", "stdout:y"]);
});
