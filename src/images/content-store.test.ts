import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hexOf } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { isTiffinError } from "../base/error.ts";
import { type ContentStore, openContentStore } from "./content-store.ts";

let root: string;
let store: ContentStore;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "images."));
  store = openContentStore(root);
});
afterEach(() => rmSync(root, { recursive: true }));

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array, void> {
  for (const text of texts) yield Buffer.from(text);
}

async function* cutOff(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from("a");
  throw new Error("the wire was cut");
}

const files = () => readdirSync(join(root, "blobs", "sha256"));

test("write() stores content under its digest, twice as once", async () => {
  const stored = await store.write(pieces("a", "bc"), { digest: digestOf("abc"), sizeBytes: 3 });
  expect(stored).toEqual({ digest: digestOf("abc"), sizeBytes: 3 });
  await store.write(pieces("abc"));
  expect(files()).toEqual([hexOf(digestOf("abc"))]);
  expect(Buffer.from(store.read(stored.digest)).toString()).toBe("abc");
  expect(store.sizeBytes(stored.digest)).toBe(3);
  expect(store.digests()).toEqual([stored.digest]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.stream(stored.digest)) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe("abc");
});

test("write() refuses other content than expected and leaves nothing", async () => {
  const refuse = async (content: AsyncIterable<Uint8Array>, words: string) => {
    await expect(store.write(content, { digest: digestOf("abc"), sizeBytes: 3 })).rejects.toThrow(
      words,
    );
  };
  await refuse(pieces("ab"), "it ends after 2 of 3 bytes");
  await refuse(pieces("abd"), `not ${digestOf("abc")}`);
  await refuse(pieces("abc", "d"), "more than the 3 bytes");
  await expect(store.write(cutOff())).rejects.toThrow("the wire was cut");
  expect(files()).toEqual([]);
});

test("read() and stream() notice a changed file", async () => {
  const { digest } = await store.write(pieces("abc"));
  writeFileSync(join(root, "blobs", "sha256", hexOf(digest)), "abd");
  let caught: unknown;
  try {
    store.read(digest);
  } catch (error) {
    caught = error;
  }
  expect(isTiffinError(caught, "data-loss")).toBe(true);
  const drain = async () => {
    for await (const _ of store.stream(digest));
  };
  await expect(drain()).rejects.toThrow("its file was changed");
});

test("a missing blob is not-found, and removing it again is fine", async () => {
  const { digest } = await store.write(pieces("abc"));
  expect(store.remove(digest)).toBe(3);
  expect(store.remove(digest)).toBe(0);
  expect(store.has(digest)).toBe(false);
  expect(() => store.read(digest)).toThrow(`No such blob: ${digest}`);
  expect(() => store.sizeBytes(digest)).toThrow("No such blob");
});

test("leftovers() names half-made files of a dead process only", async () => {
  writeFileSync(join(root, "blobs", "sha256", "incoming-00ff"), "half");
  let during: string[] = [];
  const content = async function* (): AsyncGenerator<Uint8Array, void> {
    yield Buffer.from("a");
    during = store.leftovers();
  };
  await store.write(content());
  expect(during).toEqual(["incoming-00ff"]);
  expect(store.removeLeftover("incoming-00ff")).toBe(4);
  expect(store.removeLeftover("../../x")).toBe(0);
  expect(store.leftovers()).toEqual([]);
});
