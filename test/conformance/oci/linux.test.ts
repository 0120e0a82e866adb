/** config.md and config-linux.md: names, namespaces, cgroups, sysctls, system call filters. */
import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { syscallNames } from "../../../src/base/syscall-number.ts";
import type { Spec } from "./oci-fixture.ts";
import { forEachRuntime } from "./runtimes.ts";

const NAMES: Readonly<Record<string, string>> = {
  pid: "pid",
  network: "net",
  ipc: "ipc",
  uts: "uts",
  mount: "mnt",
};

function own(name: string): string {
  return Bun.spawnSync(["readlink", `/proc/self/ns/${name}`])
    .stdout.toString()
    .trim();
}

function namespaces(
  change: (list: { type: string; path?: string }[]) => { type: string; path?: string }[],
) {
  return (spec: Spec): void => {
    spec.linux.namespaces = change(spec.linux.namespaces);
  };
}

const MAP = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

function withUser(spec: Spec): void {
  spec.linux.namespaces.push({ type: "user" });
  spec.linux.uidMappings = MAP;
  spec.linux.gidMappings = MAP;
}

forEachRuntime("namespaces", (clause) => {
  clause("are new when they are listed", async (oci) => {
    for (const [type, name] of Object.entries(NAMES)) {
      const [seen] = await oci.lines(`readlink /proc/self/ns/${name}`);
      expect({ type, isNew: seen !== own(name) }).toEqual({ type, isNew: true });
    }
  });

  clause("are the runtime's when they are not", async (oci) => {
    for (const type of ["network", "ipc"]) {
      const name = NAMES[type] ?? "";
      const without = namespaces((list) => list.filter((entry) => entry.type !== type));
      expect(await oci.lines(`readlink /proc/self/ns/${name}`, without)).toEqual([own(name)]);
    }
  });

  clause("are entered by their paths", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    const { pid } = await oci.state(id);
    for (const type of ["network", "ipc", "uts", "pid"]) {
      const name = NAMES[type] ?? "";
      const path = `/proc/${pid}/ns/${name}`;
      const theirs = Bun.spawnSync(["readlink", path]).stdout.toString().trim();
      const enter = namespaces((list) =>
        list.map((entry) => (entry.type === type ? { type, path } : entry)),
      );
      const seen = await oci.lines(`readlink /proc/self/ns/${name}`, enter);
      expect({ type, seen }).toEqual({ type, seen: [theirs] });
    }
  });

  clause("are refused when they are there twice, or unknown, or nowhere", async (oci) => {
    await oci.refused(namespaces((list) => [...list, { type: "uts" }]));
    await oci.refused(namespaces((list) => [...list, { type: "nothing" }]));
    const gone = { type: "ipc", path: "/no/such" };
    await oci.refused(namespaces((list) => [...list.filter(({ type }) => type !== "ipc"), gone]));
  });

  clause("a namespace path of another type is refused", async (oci) => {
    const other = { type: "ipc", path: "/proc/self/ns/uts" };
    await oci.refused(namespaces((list) => [...list.filter(({ type }) => type !== "ipc"), other]));
  });

  clause("map users and groups", async (oci) => {
    const script =
      "id -u; cat /proc/self/uid_map /proc/self/gid_map; stat -c %a /dev/null; echo x > /dev/null";
    const lines = await oci.lines(script, withUser);
    expect(lines[0]).toBe("0");
    expect(lines[1]?.trim().split(/\s+/)).toEqual(["0", "100000", "65536"]);
    expect(lines[2]?.trim().split(/\s+/)).toEqual(["0", "100000", "65536"]);
    expect(lines[3]).toBe("666");
  });

  clause("memory of the time namespace: offsets shift the clocks", async (oci) => {
    const change = (spec: Spec): void => {
      spec.linux.namespaces.push({ type: "time" });
      spec.linux.timeOffsets = { boottime: { secs: 1_000_000, nanosecs: 5 } };
    };
    const [line] = await oci.lines("cat /proc/uptime", change);
    const host = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(Number(line?.split(" ")[0]) - host).toBeGreaterThan(999_000);
  });
});

forEachRuntime("names", (clause) => {
  clause("hostname is set", async (oci) => {
    expect(await oci.lines("hostname", (spec) => (spec.hostname = "there"))).toEqual(["there"]);
  });

  clause("domainname is set", async (oci) => {
    const change = (spec: Spec) => (spec.domainname = "example.org");
    expect(await oci.lines("cat /proc/sys/kernel/domainname", change)).toEqual(["example.org"]);
  });

  clause("sysctls of its namespaces are set, and no others", async (oci) => {
    const change = (spec: Spec) =>
      (spec.linux.sysctl = { "net.ipv4.ip_forward": "1", "kernel.shmmni": "77" });
    const script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni";
    expect(await oci.lines(script, change)).toEqual(["1", "77"]);
    await oci.refused((spec) => (spec.linux.sysctl = { "kernel.panic": "7" }));
    await oci.refused((spec) => {
      namespaces((list) => list.filter(({ type }) => type !== "network"))(spec);
      spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
    });
  });

  clause("a personality is set", async (oci) => {
    const change = (spec: Spec) => (spec.linux.personality = { domain: "LINUX32" });
    expect(await oci.lines("uname -m", change)).toEqual(["i686"]);
  });
});

forEachRuntime("cgroups", (clause) => {
  const read = (group: string, file: string): string | undefined => {
    const path = `${group}/${file}`;
    return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
  };

  clause("are made at cgroupsPath, and hold the container", async (oci) => {
    let path = "";
    const id = await oci.create("sleep 100", (spec) => (path = spec.linux.cgroupsPath));
    const { pid } = await oci.state(id);
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(`:memory:${path}`);
  });

  clause("have the limits of resources", async (oci) => {
    const id = await oci.create("sleep 100", (spec) => {
      Object.assign(spec.linux.resources, {
        memory: { limit: 64 << 20, reservation: 32 << 20 },
        cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0", mems: "0" },
        pids: { limit: 20 },
        blockIO: { throttleReadBpsDevice: [] },
      });
    });
    expect(await oci.status(id)).toBe("created");
    const found = Object.fromEntries(
      oci.groups().flatMap((group) =>
        [
          "memory.limit_in_bytes",
          "memory.soft_limit_in_bytes",
          "cpu.shares",
          "cpu.cfs_quota_us",
          "cpuset.cpus",
          "pids.max",
        ].flatMap((file) => {
          const value = read(group, file);
          return value === undefined ? [] : [[file, value] as const];
        }),
      ),
    );
    expect(found).toMatchObject({
      "memory.limit_in_bytes": String(64 << 20),
      "memory.soft_limit_in_bytes": String(32 << 20),
      "cpu.shares": "512",
      "cpu.cfs_quota_us": "50000",
      "cpuset.cpus": "0",
      "pids.max": "20",
    });
  });

  clause("end who takes more memory than the limit", async (oci) => {
    const outcome = await oci.run(
      "dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?",
      (spec) => {
        spec.linux.resources["memory"] = { limit: 32 << 20, swap: 32 << 20 };
      },
    );
    expect(outcome.out.trim()).not.toBe("0");
  });

  clause("show the container's own with a cgroup mount", async (oci) => {
    const lines = await oci.lines(
      "cat /sys/fs/cgroup/pids/pids.max; touch /sys/fs/cgroup/pids/x || echo ro",
      (spec) => {
        spec.linux.resources["pids"] = { limit: 33 };
        spec.mounts.push({
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["nosuid", "noexec", "nodev", "ro"],
        });
      },
    );
    expect(lines).toEqual(["33", "ro"]);
  });

  clause("can be changed while it runs", async (oci) => {
    const id = await oci.create("sleep 100");
    await oci.succeed("start", id);
    await oci.succeed("update", "--pids-limit", "44", id);
    const resources = JSON.stringify({ memory: { limit: 96 << 20 } });
    expect(await oci.oci(["update", "--resources", "-", id], resources)).toMatchObject({
      status: 0,
    });
    const groups = oci.groups();
    expect(groups.flatMap((group) => read(group, "pids.max") ?? [])).toContain("44");
    expect(groups.flatMap((group) => read(group, "memory.limit_in_bytes") ?? [])).toContain(
      String(96 << 20),
    );
  });
});

forEachRuntime("seccomp", (clause) => {
  const filter =
    (syscalls: object[], more: object = {}) =>
    (spec: Spec) =>
      (spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls, ...more });

  clause("refuses calls with the error that is asked for", async (oci) => {
    const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
    const denied = await oci.run("mkdir /tmp/d", filter([rule]));
    expect(denied.error).toContain("Operation not permitted");
    const full = await oci.run("mkdir /tmp/d", filter([{ ...rule, errnoRet: 28 }]));
    expect(full.error).toContain("No space left");
  });

  clause("looks at arguments", async (oci) => {
    const rule = {
      names: ["kill"],
      action: "SCMP_ACT_ERRNO",
      args: [{ index: 1, value: 10, op: "SCMP_CMP_EQ" }],
    };
    const lines = await oci.lines(
      "kill -10 $$ || echo refused; kill -0 $$ && echo fine",
      filter([rule]),
    );
    expect(lines).toEqual(["refused", "fine"]);
  });

  clause("masks arguments", async (oci) => {
    const rule = {
      names: ["chmod", "fchmodat", "fchmod"],
      action: "SCMP_ACT_ERRNO",
      args: [{ index: 1, value: 0o4000, valueTwo: 0o4000, op: "SCMP_CMP_MASKED_EQ" }],
    };
    const script =
      "touch /tmp/m; busybox chmod 755 /tmp/m && echo fine; busybox chmod 4755 /tmp/m || echo refused";
    expect(await oci.lines(script, filter([rule]))).toEqual(["fine", "refused"]);
  });

  clause("allows only what is listed, with a default that refuses", async (oci) => {
    const change = (spec: Spec): void => {
      spec.linux.seccomp = {
        defaultAction: "SCMP_ACT_ERRNO",
        defaultErrnoRet: 38,
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: [
          {
            names: syscallNames().filter((name) => name !== "sethostname"),
            action: "SCMP_ACT_ALLOW",
          },
        ],
      };
    };
    const outcome = await oci.run("uname -s; hostname other", change);
    expect(outcome.out).toBe("Linux\n");
    expect(outcome.error).toContain("not implemented");
  });

  clause("ends the program with SCMP_ACT_KILL_PROCESS", async (oci) => {
    const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS" };
    const [status] = await oci.lines("mkdir /tmp/k; echo $?", filter([rule]));
    expect(status).toBe("159");
  });

  clause("holds without noNewPrivileges", async (oci) => {
    const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
    const outcome = await oci.run("mkdir /tmp/d", (spec) => {
      filter([rule])(spec);
      spec.process.noNewPrivileges = false;
    });
    expect(outcome.error).toContain("Operation not permitted");
  });

  clause("refuses actions, operators and architectures that are none", async (oci) => {
    await oci.refused(filter([{ names: ["mkdir"], action: "SCMP_ACT_NOTHING" }]));
    await oci.refused(filter([], { architectures: ["SCMP_ARCH_NOTHING"] }));
  });

  clause("an errno for an action that has none is refused", async (oci) => {
    await oci.refused(filter([{ names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 1 }]));
  });
});
