/** runtime.md: the operations, in which status each is right, and what an error leaves behind. */
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { forEachRuntime } from "./runtimes.ts";

/** Its status may not have been taken yet. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

forEachRuntime("create", (clause) => {
  clause("makes the container and does not run its program", async (oci) => {
    const id = oci.newId();
    const bundle = oci.bundle("touch /tmp/ran; sleep 100", (spec) => {
      spec.annotations = { "org.tiffin.test": "1" };
    });
    await oci.succeed("create", "--bundle", bundle, id);
    const state = await oci.state(id);
    expect(state).toMatchObject({ id, status: "created", bundle });
    expect(state.ociVersion).toMatch(/^1\./);
    expect(state.annotations).toEqual({ "org.tiffin.test": "1" });
    expect(isAlive(state.pid)).toBe(true);
    expect(existsSync(join(oci.directory, "rootfs/tmp/ran"))).toBe(false);
  });

  clause("refuses an ID that is in use", async (oci) => {
    const id = await oci.create("sleep 100");
    const before = await oci.state(id);
    await oci.fail("create", "--bundle", oci.bundle("true"), id);
    expect(await oci.state(id)).toEqual(before);
  });

  clause("refuses an ID that is none", async (oci) => {
    for (const id of ["a/b", "..", "", "a b"]) {
      await oci.fail("create", "--bundle", oci.bundle("true"), id);
    }
  });

  clause("refuses a bundle that is not there, or has no configuration", async (oci) => {
    await oci.fail("create", "--bundle", join(oci.directory, "nowhere"), oci.newId());
    await oci.fail("create", "--bundle", oci.directory, oci.newId());
  });

  clause("refuses a program that is not there, and leaves nothing", async (oci) => {
    const id = oci.newId();
    const bundle = oci.bundle("", (spec) => {
      spec.process.args = ["no-such-program"];
    });
    const error = await oci.fail("create", "--bundle", bundle, id);
    expect(error).toContain("no-such-program");
    expect(error).toMatch(/executable file not found in \$PATH/);
    await oci.fail("state", id);
    expect(oci.groups()).toEqual([]);
    expect(existsSync(oci.root) ? readdirSync(oci.root) : []).toEqual([]);
  });

  clause("refuses a directory as a program", async (oci) => {
    const bundle = oci.bundle("", (spec) => {
      spec.process.args = ["/etc"];
    });
    const error = await oci.fail("create", "--bundle", bundle, oci.newId());
    expect(error).toMatch(/permission denied|is a directory/);
  });

  clause("refuses a mount whose source is not there, and leaves nothing", async (oci) => {
    await oci.refused((spec) => {
      spec.mounts.push({ destination: "/x", source: "/no/such/path", options: ["bind"] });
    });
    expect(oci.groups()).toEqual([]);
  });

  clause("keeps to the configuration as it was", async (oci) => {
    const id = oci.newId();
    const bundle = oci.bundle("echo old > /tmp/said");
    await oci.succeed("create", "--bundle", bundle, id);
    const path = join(bundle, "config.json");
    writeFileSync(path, readFileSync(path, "utf8").replace("echo old", "echo new"));
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    expect(await oci.file(join(oci.directory, "rootfs/tmp/said"))).toBe("old\n");
  });

  clause("writes the pid of the container's process into a file", async (oci) => {
    const id = oci.newId();
    const file = join(oci.directory, "pid");
    await oci.succeed("create", "--bundle", oci.bundle("sleep 100"), "--pid-file", file, id);
    expect(Number(readFileSync(file, "utf8"))).toBe((await oci.state(id)).pid);
  });
});

forEachRuntime("start", (clause) => {
  clause("runs the program", async (oci) => {
    const id = await oci.create("echo ran > /tmp/started; sleep 100");
    await oci.succeed("start", id);
    expect(await oci.file(join(oci.directory, "rootfs/tmp/started"))).toBe("ran\n");
    expect(await oci.status(id)).toBe("running");
  });

  clause("refuses a container that runs", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const { pid } = await oci.state(id);
    await oci.fail("start", id);
    expect(await oci.state(id)).toMatchObject({ pid, status: "running" });
  });

  clause("refuses a container that has stopped, or is not there", async (oci) => {
    const id = await oci.create("true");
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    await oci.fail("start", id);
    expect(await oci.status(id)).toBe("stopped");
    await oci.fail("start", "nobody");
  });
});

forEachRuntime("kill", (clause) => {
  clause("sends the signal to the container's process", async (oci) => {
    const id = await oci.create(
      "trap 'echo got > /tmp/usr1; exit' USR1; echo > /tmp/ready; while :; do sleep 0.1; done",
    );
    await oci.succeed("start", id);
    await oci.file(join(oci.directory, "rootfs/tmp/ready"));
    await oci.succeed("kill", id, "USR1");
    expect(await oci.file(join(oci.directory, "rootfs/tmp/usr1"))).toBe("got\n");
    await oci.until(id, "stopped");
  });

  clause("takes names and numbers, on a created container too", async (oci) => {
    for (const signal of ["KILL", "SIGKILL", "9"]) {
      const id = await oci.create("sleep 100");
      await oci.succeed("kill", id, signal);
      await oci.until(id, "stopped");
    }
  });

  clause("refuses a container that has stopped, or is not there", async (oci) => {
    const id = await oci.create("true");
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    await oci.fail("kill", id, "KILL");
    await oci.fail("kill", "nobody", "KILL");
  });

  clause("refuses a signal that is none", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.fail("kill", id, "NOTHING");
    expect(await oci.status(id)).toBe("created");
  });
});

forEachRuntime("delete", (clause) => {
  clause("takes away what create made, and frees the ID", async (oci) => {
    const id = await oci.create("true");
    expect(oci.groups()).not.toEqual([]);
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    await oci.succeed("delete", id);
    await oci.fail("state", id);
    expect(oci.groups()).toEqual([]);
    expect(readdirSync(oci.root)).toEqual([]);
    await oci.succeed("create", "--bundle", oci.bundle("true"), id);
  });

  clause("refuses a container that runs", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    await oci.fail("delete", id);
    expect(await oci.status(id)).toBe("running");
  });

  clause("delete refuses a container that is created", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.fail("delete", id);
    expect(await oci.status(id)).toBe("created");
  });

  clause("ends a container that runs with --force", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const { pid } = await oci.state(id);
    await oci.succeed("delete", "--force", id);
    expect(isAlive(pid)).toBe(false);
    expect(oci.groups()).toEqual([]);
    await oci.succeed("delete", "--force", id);
  });

  clause("refuses a container that is not there", async (oci) => {
    await oci.fail("delete", "nobody");
  });
});

forEachRuntime("state", (clause) => {
  clause("refuses a container that is not there", async (oci) => {
    await oci.fail("state", "nobody");
    await oci.fail("state");
  });
});

forEachRuntime("run", (clause) => {
  clause("ends as the program does, and leaves nothing", async (oci) => {
    const outcome = await oci.run("echo out; echo err >&2; exit 7");
    expect(outcome).toMatchObject({ status: 7, out: "out\n", error: "err\n" });
    expect(readdirSync(oci.root)).toEqual([]);
    expect(oci.groups()).toEqual([]);
  });

  clause("goes on without the caller when it is detached", async (oci) => {
    const id = oci.newId();
    await oci.succeed("run", "--detach", "--bundle", oci.bundle("sleep 100"), id);
    expect(await oci.status(id)).toBe("running");
  });

  clause("passes input on", async (oci) => {
    const words = ["run", "--bundle", oci.bundle("cat"), oci.newId()];
    expect(await oci.oci(words, "hello\n")).toMatchObject({ status: 0, out: "hello\n" });
  });
});

forEachRuntime("pause, list, ps", (clause) => {
  clause("pauses and resumes", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    await oci.succeed("pause", id);
    expect(await oci.status(id)).toBe("paused");
    await oci.fail("exec", id, "true");
    await oci.succeed("resume", id);
    expect(await oci.status(id)).toBe("running");
    await oci.fail("resume", id);
  });

  clause("lists containers and processes", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const { pid } = await oci.state(id);
    expect((await oci.succeed("list", "--quiet")).trim()).toBe(id);
    const [listed] = JSON.parse(await oci.succeed("list", "--format", "json")) as unknown[];
    expect(listed).toMatchObject({ id, pid, status: "running" });
    expect(JSON.parse(await oci.succeed("ps", "--format", "json", id))).toContain(pid);
  });
});

forEachRuntime("exec", (clause) => {
  clause("runs one more process in all of the container's namespaces", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const { pid } = await oci.state(id);
    const script = "for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; exit 5";
    const outcome = await oci.oci(["exec", id, "sh", "-c", script]);
    expect(outcome.status).toBe(5);
    const names = ["pid", "net", "ipc", "uts", "mnt"];
    const theirs = names.map((name) => Bun.spawnSync(["readlink", `/proc/${pid}/ns/${name}`]));
    expect(outcome.out).toBe(theirs.map(({ stdout }) => stdout.toString()).join(""));
  });

  clause("takes the process from a file, with its own user and environment", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const file = join(oci.directory, "process.json");
    const process = {
      cwd: "/tmp",
      args: ["sh", "-c", "id -u; id -G; echo $A; pwd"],
      env: ["PATH=/bin", "A=b"],
      user: { uid: 1000, gid: 1000, additionalGids: [7] },
    };
    writeFileSync(file, JSON.stringify(process));
    const outcome = await oci.oci(["exec", "--process", file, id]);
    expect(outcome.out.trimEnd().split("\n")).toEqual(["1000", "1000 7", "b", "/tmp"]);
  });

  clause("goes on without the caller when it is detached", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const file = join(oci.directory, "exec-pid");
    await oci.succeed("exec", "--detach", "--pid-file", file, id, "sleep", "50");
    const pid = Number(readFileSync(file, "utf8"));
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe("sleep\x0050\0");
  });

  clause("exec sets the file mode creation mask", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const file = join(oci.directory, "process.json");
    const process = { cwd: "/", args: ["sh", "-c", "umask"], env: ["PATH=/bin"] };
    writeFileSync(file, JSON.stringify({ ...process, user: { uid: 0, gid: 0, umask: 0o77 } }));
    expect((await oci.oci(["exec", "--process", file, id])).out).toBe("0077\n");
  });

  clause("tells the status of a program that a signal ended", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    expect((await oci.oci(["exec", id, "sh", "-c", "kill -9 $$"])).status).toBe(128 + 9);
  });

  clause("refuses a program that is not there, and a container that has stopped", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    expect(await oci.fail("exec", id, "nothing")).toContain("nothing");
    await oci.succeed("kill", id, "KILL");
    await oci.until(id, "stopped");
    await oci.fail("exec", id, "true");
  });
});
