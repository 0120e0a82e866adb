import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { missingPrograms, outputOf, timeCommand } from "./command.ts";
import { removeGroup } from "./own-cgroups.ts";
import { isHybrid, withoutV2Side } from "./hybrid-cgroups.ts";
import { busyboxRoot, scratch } from "./scratch.ts";

/** A way to run `true` without an engine: what a start costs at least. */
export interface BareProgram {
  readonly name: string;
  readonly obstacle: string | undefined;
  /** Once, before the first run; gives the command. */
  prepare(): Promise<readonly string[]>;
  describe(): Promise<string>;
}

export function barePrograms(): BareProgram[] {
  return [crun(), bubblewrap(), plain(), ...(isHybrid() ? [entering()] : [])];
}

/** What podman and crun pay here for a mount namespace that crun can work in. */
function entering(): BareProgram {
  return {
    name: "nsenter",
    obstacle: missingPrograms("nsenter", "unshare"),
    prepare: async () => [...(await withoutV2Side()), join(busyboxRoot(), "bin/true")],
    describe: async () =>
      "nsenter: the cgroups here are hybrid, so podman and crun run in a mount namespace without the v2 side; " +
      "the time of entering it is in their figures",
  };
}

function plain(): BareProgram {
  return {
    name: "fork+exec",
    obstacle: undefined,
    prepare: async () => [join(busyboxRoot(), "bin/true")],
    describe: async () => `${(await outputOf(["busybox"])).split("\n")[0]?.split(" (")[0]}`,
  };
}

function bubblewrap(): BareProgram {
  return {
    name: "bwrap",
    obstacle: missingPrograms("bwrap"),
    prepare: async () => {
      const mounts = ["--bind", busyboxRoot(), "/", "--proc", "/proc", "--dev", "/dev"];
      return ["bwrap", "--unshare-all", ...mounts, "true"];
    },
    describe: () => outputOf(["bwrap", "--version"]),
  };
}

interface RuntimeSpec {
  readonly root: object;
  readonly process: { readonly rlimits?: unknown };
  readonly linux: object;
}

/**
 * crun on the specification that it writes itself, with the same root: namespaces of its own (network too, user not), no
 * seccomp filter.
 */
function crun(): BareProgram {
  return {
    name: "crun",
    obstacle: missingPrograms("crun"),
    prepare: async () => {
      const bundle = join(scratch(), "bundle");
      const group = `tiffin-bench-crun.${process.pid}`;
      mkdirSync(bundle);
      await timeCommand(["crun", "spec", "--bundle", bundle]);
      const path = join(bundle, "config.json");
      const spec = (await Bun.file(path).json()) as RuntimeSpec;
      const { rlimits: _, ...started } = spec.process;
      const changed = {
        ...spec,
        root: { path: busyboxRoot() },
        process: { ...started, terminal: false, args: ["true"] },
        linux: { ...spec.linux, cgroupsPath: `/${group}/bench` },
      };
      await Bun.write(path, JSON.stringify(changed));
      whenDone(() => removeGroup(group));
      const options = ["--cgroup-manager=cgroupfs", `--root=${join(scratch(), "crun")}`];
      const command = ["crun", ...options, "run", "--bundle", bundle, `bench-${process.pid}`];
      return [...(await withoutV2Side()), ...command];
    },
    describe: async () => (await outputOf(["crun", "--version"])).split("\n")[0] ?? "crun",
  };
}
