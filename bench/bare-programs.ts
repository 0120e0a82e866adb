import { join } from "node:path";
import { missingPrograms, outputOf } from "./command.ts";
import { trueBundle } from "./oci-bundle.ts";
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

/** crun on a bundle (oci-bundle.ts). */
function crun(): BareProgram {
  return {
    name: "crun",
    obstacle: missingPrograms("crun"),
    prepare: async () => {
      const bundle = await trueBundle("crun");
      const options = ["--cgroup-manager=cgroupfs", `--root=${join(scratch(), "crun")}`];
      const command = ["crun", ...options, "run", "--bundle", bundle, `bench-${process.pid}`];
      return [...(await withoutV2Side()), ...command];
    },
    describe: async () => (await outputOf(["crun", "--version"])).split("\n")[0] ?? "crun",
  };
}
