/** config.md, "Process": what the program gets. */
import { expect } from "bun:test";
import { closeSync, existsSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { syscall } from "../../../src/kernel/syscall.ts";
import { receiveDescriptor } from "../../../src/oci/console.ts";
import type { Spec } from "./oci-fixture.ts";
import { forEachRuntime } from "./runtimes.ts";

const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

function capability(...numbers: number[]): string {
  return numbers
    .reduce((sum, number) => sum | (1n << BigInt(number)), 0n)
    .toString(16)
    .padStart(16, "0");
}

forEachRuntime("process", (clause) => {
  clause("has its working directory, made when it is missing", async (oci) => {
    const [at] = await oci.lines("pwd", (spec) => (spec.process.cwd = "/tmp/made/here"));
    expect(at).toBe("/tmp/made/here");
  });

  clause("has its arguments and environment, and no others", async (oci) => {
    const lines = await oci.lines("", (spec) => {
      spec.process.args = ["env"];
      spec.process.env = ["PATH=/bin", "A=1 2", "B=", "HOME=/x"];
    });
    expect(lines.toSorted()).toEqual(["A=1 2", "B=", "HOME=/x", "PATH=/bin"]);
  });

  clause("has the home of its user when none is given", async (oci) => {
    const home = (uid: number) =>
      oci.lines("echo $HOME", (spec) => (spec.process.user = { uid, gid: 0 }));
    expect(await home(0)).toEqual(["/root"]);
    expect(await home(1000)).toEqual(["/home/u"]);
    expect(await home(77)).toEqual(["/"]);
  });

  clause("refuses a working directory that is not absolute, and no arguments", async (oci) => {
    await oci.refused((spec) => (spec.process.cwd = "tmp"));
    await oci.refused((spec) => (spec.process.args = []));
  });

  clause("has its user, groups and file mode creation mask", async (oci) => {
    const lines = await oci.lines("id -u; id -g; id -G; umask", (spec) => {
      spec.process.user = { uid: 1000, gid: 1001, additionalGids: [5, 6], umask: 0o27 };
    });
    expect(lines).toEqual(["1000", "1001", "1001 5 6", "0027"]);
    const [mask] = await oci.lines("umask");
    expect(mask).toBe("0022");
  });

  clause("has the five sets of capabilities", async (oci) => {
    const script = `grep -E '${SETS.join("|")}' /proc/self/status`;
    const lines = await oci.lines(script, (spec) => {
      spec.process.user = { uid: 1000, gid: 1000 };
      spec.process.capabilities = {
        bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"],
        permitted: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        effective: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
        inheritable: ["CAP_NET_BIND_SERVICE", "CAP_KILL"],
        ambient: ["CAP_NET_BIND_SERVICE"],
      };
    });
    // What a program without file capabilities has after an exec (capabilities(7)).
    expect(lines.map((line) => line.split("\t")[1])).toEqual([
      capability(5, 10),
      capability(10),
      capability(10),
      capability(0, 5, 10, 18),
      capability(10),
    ]);
  });

  clause("has no capabilities when none are listed", async (oci) => {
    const script = `grep -E '${SETS.join("|")}' /proc/self/status`;
    const lines = await oci.lines(script, (spec) => (spec.process.capabilities = {}));
    expect(lines.map((line) => line.split("\t")[1])).toEqual(SETS.map(() => capability()));
  });

  clause("an unknown capability is a warning", async (oci) => {
    const bundle = oci.bundle("echo ran", (spec) => {
      spec.process.capabilities["bounding"] = ["CAP_NOTHING", "CAP_KILL"];
    });
    const log = join(oci.directory, "log");
    const words = ["--log", log, "--log-format", "json", "run", "--bundle", bundle, oci.newId()];
    expect(await oci.oci(words)).toMatchObject({ status: 0, out: "ran\n" });
    expect(readFileSync(log, "utf8")).toContain("CAP_NOTHING");
  });

  clause("has its limits", async (oci) => {
    const lines = await oci.lines("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc", (spec) => {
      spec.process.rlimits = [
        { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
        { type: "RLIMIT_CORE", soft: 0, hard: 512 },
      ];
    });
    expect(lines).toEqual(["100", "200", "0", "1"]);
  });

  clause("refuses limits that are there twice, or are none", async (oci) => {
    const limit = { type: "RLIMIT_NOFILE", soft: 100, hard: 200 };
    await oci.refused((spec) => (spec.process.rlimits = [limit, limit]));
    await oci.refused((spec) => (spec.process.rlimits = [{ ...limit, type: "RLIMIT_NONE" }]));
  });

  clause("gains no privileges when it must not", async (oci) => {
    const script = "grep NoNewPrivs /proc/self/status";
    expect(await oci.lines(script)).toEqual(["NoNewPrivs:\t1"]);
    const free = await oci.lines(script, (spec) => (spec.process.noNewPrivileges = false));
    expect(free).toEqual(["NoNewPrivs:\t0"]);
  });

  clause("has its score for the OOM killer, or that of the caller", async (oci) => {
    const script = "cat /proc/self/oom_score_adj";
    const own = readFileSync("/proc/self/oom_score_adj", "utf8").trim();
    expect(await oci.lines(script)).toEqual([own]);
    const set = await oci.lines(script, (spec) => (spec.process.oomScoreAdj = 500));
    expect(set).toEqual(["500"]);
  });

  clause("a scheduling policy is set", async (oci) => {
    const change = (scheduler: unknown) => (spec: Spec) => (spec.process.scheduler = scheduler);
    const script = "grep -E '^policy|^prio' /proc/self/sched";
    const lines = await oci.lines(script, change({ policy: "SCHED_BATCH", nice: 5 }));
    expect(lines.map((line) => line.replace(/[^0-9]/g, ""))).toEqual(["3", "125"]);
    await oci.refused(change({ policy: "SCHED_NONE" }));
  });

  clause("an I/O priority is set", async (oci) => {
    const lines = await oci.lines("ionice -p 1", (spec) => {
      spec.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
    });
    expect(lines).toEqual(["best-effort: prio 6"]);
  });

  clause("refuses a security module that the kernel lacks", async (oci) => {
    if (existsSync("/sys/module/apparmor")) return;
    await oci.refused((spec) => (spec.process.apparmorProfile = "some-profile"));
  });

  clause("has no descriptors but the standard ones and those that are passed on", async (oci) => {
    const [fds] = await oci.lines("echo /proc/self/fd/*");
    expect(fds).toBe("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3");
  });

  clause("has a terminal whose other end goes to the console socket", async (oci) => {
    const path = join(oci.directory, "console");
    const listener = syscall("socket", 1, 1 | 0o2000000, 0);
    const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(`${path}\0`)]);
    syscall("bind", listener, address, address.length);
    syscall("listen", listener, 1);
    const id = oci.newId();
    const bundle = oci.bundle("tty; stty size; sleep 100", (spec) => {
      spec.process.terminal = true;
      spec.process.consoleSize = { height: 33, width: 99 };
    });
    await oci.succeed("create", "--bundle", bundle, "--console-socket", path, id);
    const socket = syscall("accept4", listener, null, null, 0o2000000);
    const master = receiveDescriptor(socket);
    await oci.succeed("start", id);
    let said = "";
    const bytes = Buffer.alloc(256);
    while (!said.includes("33 99")) said += bytes.toString("utf8", 0, readSync(master, bytes));
    expect(said).toMatch(/^\/dev\/(pts\/0|console)\r\n33 99/);
    for (const fd of [listener, socket, master]) closeSync(fd);
  });

  clause(
    "refuses a terminal that has nowhere to go, and a socket without a terminal",
    async (oci) => {
      await oci.refused((spec) => (spec.process.terminal = true));
      const id = oci.newId();
      await oci.fail("create", "--bundle", oci.bundle("true"), "--console-socket", "/nowhere", id);
    },
  );
});
