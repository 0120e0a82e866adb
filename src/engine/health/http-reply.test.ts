import { expect, test } from "bun:test";
import { readHttpReply } from "./http-reply.ts";

const read = (text: string) => readHttpReply(Buffer.from(text));

test("a reply is whole when its body is", () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  expect(read(head)).toMatchObject({ status: 200, isWhole: false });
  expect(read(`${head}hello`)).toEqual({
    status: 200,
    isWhole: true,
    isForeign: false,
    words: "HTTP 200 OK: hello",
  });
  expect(read("HTTP/1.1 204 No Content\r\n\r\n")).toMatchObject({ status: 204, isWhole: true });
  const chunked = "HTTP/1.1 503 Gone\r\ntransfer-encoding: gzip, chunked\r\n\r\n4\r\naway\r\n";
  expect(read(chunked)).toMatchObject({ status: 503, isWhole: false });
  expect(read(`${chunked}0\r\n\r\n`)).toMatchObject({ status: 503, isWhole: true });
});

test("a reply without a length lasts until the end of the connection", () => {
  expect(read("HTTP/1.0 200 OK\r\n\r\nsome")).toMatchObject({ status: 200, isWhole: false });
});

test("a reply that comes in parts is waited for", () => {
  for (const text of ["", "HT", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-"]) {
    expect(read(text)).toMatchObject({ isWhole: false, isForeign: false });
  }
});

test("what is no HTTP is told, and what never ends is cut", () => {
  expect(read("SSH-2.0-x\r\n")).toMatchObject({ isForeign: true, isWhole: true });
  expect(read("HTTP/2 200\r\n")).toMatchObject({ isForeign: true });
  expect(read("HTTP/1.1 200 OK\r\nX: y\r\n".padEnd(70_000, "z"))).toMatchObject({ isWhole: true });
  expect(read(`HTTP/1.1 500 No\r\n\r\n${"x".repeat(9000)}`).words.length).toBeLessThan(4200);
});
