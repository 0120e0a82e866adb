import { describe, expect, test } from "bun:test";
import { readSmallTar, writeSmallTar } from "./small-tar.ts";

const FILES = [
  { name: "meta.json", mode: 0o644, bytes: Buffer.from('{"Name":"x"}') },
  { name: "tls", mode: 0o700, bytes: null },
  { name: "tls/docker/ca.pem", mode: 0o600, bytes: Buffer.alloc(1000, "a") },
];

describe("small archives", () => {
  test("come back as they were written, without their directories", () => {
    const read = readSmallTar(writeSmallTar(FILES));
    expect(read.map(({ name, mode }) => [name, mode])).toEqual([
      ["meta.json", 0o644],
      ["tls/docker/ca.pem", 0o600],
    ]);
    expect(Buffer.from(read[0]?.bytes ?? []).toString()).toBe('{"Name":"x"}');
    expect(read[1]?.bytes?.length).toBe(1000);
  });

  test("are read by tar", () => {
    const { stdout } = Bun.spawnSync(["tar", "-tf", "-"], { stdin: writeSmallTar(FILES) });
    expect(stdout.toString()).toBe("meta.json\ntls\ntls/docker/ca.pem\n");
  });

  test("are refused when they are damaged, cut off, empty or something else", () => {
    const whole = writeSmallTar(FILES);
    const damaged = Buffer.from(whole);
    damaged[0] = 0x7a;
    expect(() => readSmallTar(damaged)).toThrow("it is no tar archive");
    expect(() => readSmallTar(whole.subarray(0, 520))).toThrow("it is cut off");
    expect(() => readSmallTar(Buffer.alloc(0))).toThrow("it is no tar archive");
    expect(() => readSmallTar(Buffer.alloc(2048, "x"))).toThrow("it is no tar archive");
    expect(() => readSmallTar(Buffer.alloc(2048))).toThrow("it is no tar archive");
  });
});
