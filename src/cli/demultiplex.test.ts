import { expect, test } from "bun:test";
import { demultiplex } from "./demultiplex.ts";

function frame(stream: number, data: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

async function* pieces(bytes: Buffer, size: () => number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + size();
    yield bytes.subarray(at, end);
    at = end;
  }
}

async function run(input: AsyncIterable<Buffer>): Promise<string[]> {
  const seen: string[] = [];
  const add = (name: string) => async (data: Uint8Array) => {
    const last = seen.at(-1);
    const text = Buffer.from(data).toString("latin1");
    if (last?.startsWith(name) === true) seen[seen.length - 1] = last + text;
    else seen.push(name + text);
  };
  await demultiplex(input, { out: add("o:"), error: add("e:") });
  return seen;
}

test("streams come apart in their order, wherever the reads fall", async () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 100; round += 1) {
    const expected: string[] = [];
    const frames: Buffer[] = [];
    for (let index = 0; index < 1 + random(12); index += 1) {
      const isError = random(3) === 0;
      const size = random(5) === 0 ? random(300_000) : random(90);
      const text = String.fromCharCode(97 + random(26)).repeat(size);
      frames.push(frame(isError ? 2 : 1, Buffer.from(text)));
      if (size === 0) continue;
      const name = isError ? "e:" : "o:";
      if (expected.at(-1)?.startsWith(name) === true) expected[expected.length - 1] += text;
      else expected.push(name + text);
    }
    const step = 1 + random(4000);
    expect(await run(pieces(Buffer.concat(frames), () => 1 + random(step)))).toEqual(expected);
  }
});

test("the engine's own error frame ends the command with its words", async () => {
  await expect(run(pieces(frame(3, Buffer.from("log is gone")), () => 100))).rejects.toThrow(
    "log is gone",
  );
});

test("bytes without frames are told apart from frames", async () => {
  await expect(run(pieces(Buffer.from("hello, terminal"), () => 100))).rejects.toThrow(
    "stream 104 is unknown",
  );
});
