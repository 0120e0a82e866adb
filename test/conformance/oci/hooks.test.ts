/** config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle": when hooks run, where, with what, and what a failure does. */
import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OciFixture, Spec } from "./oci-fixture.ts";
import { forEachRuntime } from "./runtimes.ts";

/** A hook that is a shell script on the host. */
function hook(script: string, more: object = {}): object {
  return { path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/usr/bin:/bin"], ...more };
}

function trace(oci: OciFixture): string {
  return join(oci.directory, "trace");
}

/** Each kind of hook writes its name and the state's status into a file, which both sides can reach. */
function tracing(oci: OciFixture, more: Record<string, object[]> = {}): (spec: Spec) => void {
  const file = trace(oci);
  writeFileSync(file, "");
  return (spec) => {
    const kinds = ["prestart", "createRuntime", "createContainer", "poststop"];
    spec.mounts.push({ destination: "/trace", source: file, options: ["bind"] });
    spec.hooks = Object.fromEntries(kinds.map((kind) => [kind, [hook(`echo ${kind} >> ${file}`)]]));
    spec.hooks["startContainer"] = [
      { path: "/bin/sh", args: ["sh", "-c", "echo startContainer >> /trace"], env: ["PATH=/bin"] },
    ];
    Object.assign(spec.hooks, more);
  };
}

function traced(oci: OciFixture): string[] {
  return readFileSync(trace(oci), "utf8").split("\n").filter(Boolean);
}

forEachRuntime("hooks", (clause) => {
  clause("run in the order of the lifecycle", async (oci) => {
    const id = await oci.create("echo program >> /trace", tracing(oci));
    expect(traced(oci)).toEqual(["prestart", "createRuntime", "createContainer"]);
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    expect(traced(oci).slice(3)).toEqual(["startContainer", "program"]);
    await oci.succeed("delete", id);
    expect(traced(oci).at(-1)).toBe("poststop");
  });

  clause("poststart hooks run after the start", async (oci) => {
    const file = trace(oci);
    const more = { poststart: [hook(`echo poststart >> ${file}`)] };
    const id = await oci.create("sleep 100", tracing(oci, more));
    expect(traced(oci)).not.toContain("poststart");
    await oci.succeed("start", id);
    expect(traced(oci).slice(3).toSorted()).toEqual(["poststart", "startContainer"]);
  });

  clause("run in the order of their list, with arguments and environment", async (oci) => {
    const file = trace(oci);
    const id = await oci.create(
      "true",
      tracing(oci, {
        prestart: [
          hook(`echo one $0 $A >> ${file}`, {
            args: ["sh", "-c", `echo one $A >> ${file}`],
            env: ["A=b"],
          }),
          hook(`echo two >> ${file}`),
        ],
      }),
    );
    expect(traced(oci).slice(0, 2)).toEqual(["one b", "two"]);
    await oci.succeed("delete", "--force", id);
  });

  clause("get the state on their standard input", async (oci) => {
    const file = join(oci.directory, "state-in-hook");
    const id = await oci.create("sleep 100", (spec) => {
      spec.annotations = { k: "v" };
      spec.hooks = { createRuntime: [hook(`cat > ${file}`)] };
    });
    const seen = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    const state = await oci.state(id);
    expect(seen).toMatchObject({ id, bundle: state.bundle, pid: state.pid });
    expect(seen["annotations"]).toEqual({ k: "v" });
    expect(["creating", "created"]).toContain(String(seen["status"]));
  });

  clause(
    "run where they belong: on the host, and in the container before and after its root is there",
    async (oci) => {
      const file = join(oci.directory, "where");
      const script = `readlink /proc/self/ns/uts >> ${file}; readlink /proc/self/ns/mnt >> ${file}`;
      const id = await oci.create("sleep 100", (spec) => {
        spec.hooks = { createRuntime: [hook(script)], createContainer: [hook(script)] };
      });
      const { pid } = await oci.state(id);
      const link = (of: string, name: string): string =>
        Bun.spawnSync(["readlink", `/proc/${of}/ns/${name}`])
          .stdout.toString()
          .trim();
      expect(readFileSync(file, "utf8").trim().split("\n")).toEqual([
        link("self", "uts"),
        link("self", "mnt"),
        link(String(pid), "uts"),
        link(String(pid), "mnt"),
      ]);
    },
  );

  clause(
    "that change the mount namespace before the root is entered are seen inside",
    async (oci) => {
      const inner = join(oci.directory, "rootfs/tmp");
      const lines = await oci.lines("cat /tmp/from-hook", (spec) => {
        const script = `mount -t tmpfs none ${inner} && echo yes > ${inner}/from-hook`;
        spec.hooks = { createContainer: [hook(script)] };
      });
      expect(lines).toEqual(["yes"]);
      expect(existsSync(join(inner, "from-hook"))).toBe(false);
    },
  );

  clause("that fail before the start end the create, and nothing is left", async (oci) => {
    for (const kind of ["prestart", "createRuntime", "createContainer"]) {
      const error = await oci.refused((spec) => {
        spec.hooks = { [kind]: [hook("echo because >&2; exit 3")] };
      });
      expect(error).toContain("because");
      expect(oci.groups()).toEqual([]);
    }
  });

  clause("that take longer than their timeout are ended", async (oci) => {
    await oci.refused((spec) => {
      spec.hooks = { prestart: [hook("exec sleep 30", { timeout: 1 })] };
    });
  });

  clause("a startContainer hook that fails keeps the program from running", async (oci) => {
    const id = await oci.create("touch /tmp/never", (spec) => {
      spec.hooks = { startContainer: [{ path: "/bin/false", args: ["false"] }] };
    });
    await oci.oci(["start", id]);
    await oci.oci(["delete", "--force", id]);
    expect(existsSync(join(oci.directory, "rootfs/tmp/never"))).toBe(false);
  });

  clause("a hook that fails after the start ends the container", async (oci) => {
    const id = await oci.create("sleep 100", (spec) => {
      spec.hooks = { poststart: [hook("exit 1")] };
    });
    const { pid } = await oci.state(id);
    await oci.fail("start", id);
    await oci.fail("state", id);
    const stat = existsSync(`/proc/${pid}/stat`)
      ? readFileSync(`/proc/${pid}/stat`, "utf8")
      : " Z ";
    expect(stat).toMatch(/ [ZX] /);
  });

  clause("hooks that fail after the end are warnings, and the others run", async (oci) => {
    const file = trace(oci);
    const id = await oci.create(
      "true",
      tracing(oci, { poststop: [hook("exit 1"), hook(`echo last >> ${file}`)] }),
    );
    await oci.succeed("start", id);
    await oci.until(id, "stopped");
    await oci.succeed("delete", id);
    expect(traced(oci).at(-1)).toBe("last");
    await oci.fail("state", id);
  });

  clause("whose path is not absolute are refused", async (oci) => {
    await oci.refused((spec) => {
      spec.hooks = { prestart: [{ path: "bin/true" }] };
    });
  });
});
