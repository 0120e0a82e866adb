/** config.md, "Root" and "Mounts"; config-linux.md, devices, masks, propagation. */
import { expect } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Spec } from "./oci-fixture.ts";
import { forEachRuntime } from "./runtimes.ts";

function add(...mounts: object[]): (spec: Spec) => void {
  return (spec) => spec.mounts.push(...mounts);
}

/** Options of the last mount at a place, as the container sees them. */
const OPTIONS = (place: string): string =>
  `while read _ _ _ _ at options rest; do test $at = ${place} && seen=$options; done < /proc/self/mountinfo; echo $seen`;

forEachRuntime("root", (clause) => {
  clause("is the root that was named, absolute or in the bundle", async (oci) => {
    expect(await oci.lines("cat /etc/passwd")).toHaveLength(2);
    const bundle = oci.bundle("cat /marker", (spec) => (spec.root.path = "rootfs"));
    oci.makeRootfs(join(bundle, "rootfs"));
    writeFileSync(join(bundle, "rootfs/marker"), "mine\n");
    expect(await oci.succeed("run", "--bundle", bundle, oci.newId())).toBe("mine\n");
  });

  clause("can be written to, or not", async (oci) => {
    expect((await oci.run("touch /tmp/x")).status).toBe(0);
    const outcome = await oci.run("touch /tmp/x", (spec) => (spec.root.readonly = true));
    expect(outcome.status).not.toBe(0);
    expect(outcome.error).toContain("Read-only");
  });

  clause("refuses a root that is not there", async (oci) => {
    await oci.refused((spec) => (spec.root.path = "nowhere"));
  });

  clause("is the only thing of the host's that is seen", async (oci) => {
    const lines = await oci.lines("ls /; cat /proc/self/mountinfo");
    expect(lines.join("\n")).not.toContain(oci.directory.replace("/tmp", "/host"));
    const count = Number((await oci.lines("cat /proc/self/mountinfo | wc -l"))[0]);
    expect(count).toBeLessThan(10);
  });
});

forEachRuntime("mounts", (clause) => {
  clause("are made in the order of the list", async (oci) => {
    const lines = await oci.lines("cat /a/b/c", (spec) => {
      const source = join(oci.directory, "ordered");
      mkdirSync(source, { recursive: true });
      writeFileSync(join(source, "c"), "last\n");
      add(
        { destination: "/a", type: "tmpfs", source: "tmpfs" },
        { destination: "/a/b", type: "tmpfs", source: "tmpfs" },
        { destination: "/a/b", source, options: ["bind"] },
      )(spec);
    });
    expect(lines).toEqual(["last"]);
  });

  clause("a relative destination is below the root", async (oci) => {
    const lines = await oci.lines(
      OPTIONS("/rel"),
      add({ destination: "rel", type: "tmpfs", source: "tmpfs" }),
    );
    expect(lines[0]).toContain("rw");
  });

  clause("bind files and directories, from the host or the bundle", async (oci) => {
    const bundle = oci.bundle("cat /f/x /d/x", (spec) =>
      add(
        { destination: "/f/x", source: "file", options: ["bind"] },
        { destination: "/d", source: "dir", type: "none", options: ["rbind", "ro"] },
      )(spec),
    );
    writeFileSync(join(bundle, "file"), "file\n");
    mkdirSync(join(bundle, "dir"));
    writeFileSync(join(bundle, "dir/x"), "dir\n");
    expect(await oci.succeed("run", "--bundle", bundle, oci.newId())).toBe("file\ndir\n");
  });

  clause("take the options of mount(8)", async (oci) => {
    const pairs: [string[], RegExp][] = [
      [["ro", "nosuid", "nodev", "noexec"], /^ro,nosuid,nodev,noexec/],
      [["noatime"], /noatime/],
      [["nodiratime", "relatime"], /nodiratime/],
      [["nosuid", "suid", "noexec", "exec"], /^rw,relatime$/],
    ];
    for (const [options, wanted] of pairs) {
      for (const mount of [
        { type: "tmpfs", source: "tmpfs", options },
        { source: oci.directory, options: ["bind", ...options] },
      ]) {
        const [seen] = await oci.lines(OPTIONS("/m"), add({ destination: "/m", ...mount }));
        expect({ options, seen: wanted.test(seen ?? ""), is: seen }).toMatchObject({ seen: true });
      }
    }
  });

  clause("pass other options to the file system", async (oci) => {
    const options = ["size=4m"];
    const mount = { destination: "/m", type: "tmpfs", source: "tmpfs", options };
    const lines = await oci.lines("grep ' /m ' /proc/self/mountinfo", add(mount));
    expect(lines[0]).toContain("size=4096k");
    await oci.refused(add({ ...mount, options: ["nonsense=1"] }));
  });

  clause("propagate as they are told", async (oci) => {
    const script = (place: string): string =>
      `while read l; do case "$l" in *" ${place} "*) echo "$l";; esac; done < /proc/self/mountinfo`;
    const of = async (options: string[]): Promise<string> => {
      const mount = { destination: "/m", source: oci.directory, options: ["rbind", ...options] };
      return (await oci.lines(script("/m"), add(mount)))[0] ?? "";
    };
    expect(await of(["rprivate"])).not.toMatch(/shared:|master:/);
    expect(await of(["shared"])).toMatch(/shared:/);
    expect(await of(["unbindable"])).toMatch(/unbindable/);
  });

  clause("a bind can map its owners", async (oci) => {
    const source = join(oci.directory, "owned");
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, "f"), "");
    const map = [{ containerID: 0, hostID: 1000, size: 1000 }];
    const mount = { destination: "/m", source, uidMappings: map, gidMappings: map };
    const lines = await oci.lines(
      "stat -c %u:%g /m/f",
      add({ ...mount, options: ["bind", "idmap"] }),
    );
    expect(lines).toEqual(["1000:1000"]);
    await oci.refused(add({ destination: "/m", source, options: ["bind", "idmap"] }));
  });

  clause("never reach out of the root by its links", async (oci) => {
    const host = join(oci.directory, "host-place");
    mkdirSync(host, { recursive: true });
    symlinkSync(`../../../../..${host}`, join(oci.directory, "rootfs/out"));
    const lines = await oci.lines(
      "touch /out/x; ls /out",
      add({ destination: "/out", type: "tmpfs", source: "tmpfs" }),
    );
    expect(lines).toEqual(["x"]);
    expect(Bun.spawnSync(["ls", host]).stdout.toString()).toBe("");
    rmSync(join(oci.directory, "rootfs/out"));
  });

  clause("mounts are refused inside of /proc", async (oci) => {
    await oci.refused(add({ destination: "/proc/sys", type: "tmpfs", source: "tmpfs" }));
  });
});

forEachRuntime("devices", (clause) => {
  clause("has the default ones and their links", async (oci) => {
    const names = "null zero full random urandom tty";
    const lines = await oci
      .lines(
        `for d in ${names}; do stat -c '%n %t %T %a' /dev/$d; done; readlink /dev/ptmx /dev/fd; ls /dev/console`,
      )
      .catch(() => [] as string[]);
    const script = `for d in ${names}; do stat -c '%n %t %T %a' /dev/$d; done; readlink /dev/ptmx; readlink /dev/fd`;
    const found = lines.length > 0 ? lines : await oci.lines(script);
    expect(found.slice(0, 6)).toEqual([
      "/dev/null 1 3 666",
      "/dev/zero 1 5 666",
      "/dev/full 1 7 666",
      "/dev/random 1 8 666",
      "/dev/urandom 1 9 666",
      "/dev/tty 5 0 666",
    ]);
    expect(found).toContain("/proc/self/fd");
    expect(found.some((line) => line.endsWith("pts/ptmx"))).toBe(true);
  });

  clause("has those of the list, where and whose they are to be", async (oci) => {
    const lines = await oci.lines(
      "stat -c '%t %T %a %u %g' /dev/sub/fuse; echo x > /dev/null",
      (spec) => {
        spec.linux.devices = [
          {
            path: "/dev/sub/fuse",
            type: "c",
            major: 10,
            minor: 229,
            fileMode: 0o640,
            uid: 7,
            gid: 8,
          },
        ];
      },
    );
    expect(lines).toEqual(["a e5 640 7 8"]);
  });

  clause("a device path that holds another file is refused", async (oci) => {
    await oci.refused((spec) => {
      spec.linux.devices = [{ path: "/etc/passwd", type: "c", major: 1, minor: 3 }];
    });
  });

  clause("lets only what is allowed be used", async (oci) => {
    const device = { path: "/dev/fuse2", type: "c", major: 10, minor: 229, fileMode: 0o666 };
    const use = (allowed: object[]) =>
      oci.run("head -c 0 /dev/fuse2", (spec) => {
        spec.linux.devices = [device];
        spec.linux.resources["devices"] = [{ allow: false, access: "rwm" }, ...allowed];
      });
    expect((await use([])).error).toContain("Operation not permitted");
    const rule = { allow: true, type: "c", major: 10, minor: 229, access: "rwm" };
    expect((await use([rule])).error).not.toContain("Operation not permitted");
  });
});

forEachRuntime("paths", (clause) => {
  clause("that are masked cannot be read", async (oci) => {
    const lines = await oci.lines(
      "cat /etc/passwd | wc -c; ls /tmp/secret | wc -l; cat /proc/keys | wc -c",
      (spec) => {
        mkdirSync(join(oci.directory, "rootfs/tmp/secret"), { recursive: true });
        writeFileSync(join(oci.directory, "rootfs/tmp/secret/x"), "");
        spec.linux.maskedPaths = ["/etc/passwd", "/tmp/secret", "/proc/keys", "/no/such"];
      },
    );
    expect(lines).toEqual(["0", "0", "0"]);
  });

  clause("that are read-only cannot be written to", async (oci) => {
    const outcome = await oci.run(
      "echo 1 > /proc/sys/kernel/msgmax; touch /tmp/x && echo fine",
      (spec) => {
        spec.linux.readonlyPaths = ["/proc/sys", "/no/such"];
      },
    );
    expect(outcome.error).toContain("Read-only");
    expect(outcome.out).toBe("fine\n");
  });

  clause("rootfsPropagation of a shared root makes a group of its own", async (oci) => {
    const script =
      "while read a b c d at f tag rest; do test $at = / && echo $tag; done < /proc/self/mountinfo; true";
    const tag = async (propagation: string): Promise<string> =>
      (await oci.lines(script, (spec) => (spec.linux.rootfsPropagation = propagation)))[0] ?? "";
    expect(await tag("private")).toBe("-");
    expect(await tag("shared")).toMatch(/^shared:/);
    expect(await tag("unbindable")).toBe("unbindable");
    await oci.refused((spec) => (spec.linux.rootfsPropagation = "nonsense"));
  });
});
