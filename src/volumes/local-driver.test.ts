import { describe, expect, test } from "bun:test";
import { isTiffinError } from "../base/error.ts";
import type { MountCall } from "../kernel/mount.ts";
import { planVolumeMount, validateDriverOptions } from "./local-driver.ts";

const MS = { RDONLY: 1, NOSUID: 2, REMOUNT: 32, BIND: 4096, REC: 16384, SHARED: 1 << 20 };

function plan(options: Record<string, string>): Promise<MountCall[]> {
  return planVolumeMount(options, "/v", (host) => Promise.resolve(`address-of-${host}`));
}

describe("options of the local driver", () => {
  test("mount a file system with flags, and give it the rest", async () => {
    expect(await plan({ type: "tmpfs", device: "tmpfs", o: "size=1m,ro,nosuid,suid" })).toEqual([
      { source: "tmpfs", target: "/v", type: "tmpfs", flags: MS.RDONLY, data: "size=1m" },
    ]);
  });

  test("set the flags of a bind by mounting it again", async () => {
    const calls = await plan({ type: "none", device: "/srv", o: "rbind,ro,nosuid" });
    const flags = MS.BIND | MS.REC | MS.RDONLY | MS.NOSUID;
    expect(calls.map((call) => call.flags)).toEqual([flags, flags | MS.REMOUNT]);
    expect(calls[1]).toMatchObject({ type: "", data: "" });
  });

  test("set how mounts propagate after the mount", async () => {
    const calls = await plan({ type: "none", device: "/srv", o: "bind,rshared" });
    expect(calls.map((call) => call.flags)).toEqual([MS.BIND | MS.REC, MS.SHARED | MS.REC]);
  });

  test("name a server by its address", async () => {
    const nfs = { type: "nfs", device: ":/x" };
    expect((await plan({ ...nfs, o: "addr=files,rw,nfsvers=4" }))[0]?.data).toBe(
      "addr=address-of-files,nfsvers=4",
    );
    expect((await plan({ ...nfs, o: "addr=192.0.2.1" }))[0]?.data).toBe("addr=192.0.2.1");
    expect((await plan({ ...nfs, o: "addr=2001:db8::1" }))[0]?.data).toBe("addr=2001:db8::1");
    const tmpfs = { type: "tmpfs", device: "tmpfs", o: "addr=files" };
    expect((await plan(tmpfs))[0]?.data).toBe("addr=files");
  });

  const refused: readonly (readonly [options: Record<string, string>, words: string])[] = [
    [{ bogus: "1" }, 'create v: invalid option: "bogus"'],
    [{ __proto__x: "1" }, 'create v: invalid option: "__proto__x"'],
    [{ type: "tmpfs" }, 'create v: missing required option: "device"'],
    [{ o: "rw" }, 'create v: missing required option: "device"'],
    [{ device: "/x" }, 'create v: missing required option: "type"'],
    [{ size: "1g" }, "create v: quota size requested but no quota support"],
    [{ size: "much" }, "create v: invalid size: 'much'"],
    [{ type: "none", o: "bind", device: "srv" }, "a bind needs the absolute path"],
    [{ type: "none", o: "bind", device: "/a\0b" }, "option device holds a NUL byte"],
  ];
  for (const [options, words] of refused) {
    test(`are refused: ${JSON.stringify(options)}`, () => {
      try {
        validateDriverOptions("v", options);
        expect.unreachable();
      } catch (error) {
        expect(isTiffinError(error, "invalid-argument") && error.message).toContain(words);
      }
    });
  }

  test("may be none", () => {
    validateDriverOptions("v", {});
    validateDriverOptions("v", { size: "0" });
  });
});
