import { expect, test } from "bun:test";
import { ChunkDecoder } from "./client-chunks.ts";

function decodeAll(pieces: readonly Buffer[]): { text: string; rest: string; isDone: boolean } {
  const decoder = new ChunkDecoder();
  let text = "";
  let rest = "";
  for (const piece of pieces) {
    const decoded = decoder.decode(Buffer.from(piece));
    text += decoded.data.toString("latin1");
    rest += decoded.rest.toString("latin1");
  }
  return { text, rest, isDone: decoder.isDone };
}

function cut(bytes: Buffer, size: () => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + size();
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

test("chunks are joined, extensions and trailers passed over, and what follows is given back", () => {
  const body = Buffer.from("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nHTTP/1.1");
  expect(decodeAll([body])).toEqual({ text: "abcde", rest: "HTTP/1.1", isDone: true });
});

test("the same comes out wherever the reads fall", () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 200; round += 1) {
    const chunks = Array.from({ length: random(8) }, () => "x\r\n0".repeat(1 + random(20)));
    const framed = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
    const pieces = cut(Buffer.from(`${framed}0\r\n\r\n`), () => 1 + random(30));
    expect(decodeAll(pieces)).toEqual({ text: chunks.join(""), rest: "", isDone: true });
  }
});

test("what is no chunk is refused", () => {
  for (const bad of ["\r\n", "xyz\r\n", "1\r\nab\r\n", "fffffffffffffff\r\n"]) {
    expect(() => decodeAll([Buffer.from(bad)])).toThrow("Cannot read the engine's answer");
  }
});
