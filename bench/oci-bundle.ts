import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { timeCommand } from "./command.ts";
import { removeGroup } from "./own-cgroups.ts";
import { busyboxRoot, scratch } from "./scratch.ts";

interface RuntimeSpec {
  readonly process: { readonly rlimits?: unknown; readonly capabilities?: Capabilities };
  readonly linux: object;
}

interface Capabilities {
  readonly ambient?: unknown;
}

/**
 * A bundle that runs `true`, from the specification that crun writes itself: namespaces of its own (network too, user not),
 * no seccomp filter. The same for every runtime, each with a cgroup of its own.
 */
export async function trueBundle(runtime: string): Promise<string> {
  const bundle = join(scratch(), `bundle-${runtime}`);
  if (existsSync(bundle)) return bundle;
  const group = `tiffin-bench-${runtime}.${process.pid}`;
  mkdirSync(bundle);
  await timeCommand(["crun", "spec", "--bundle", bundle]);
  const path = join(bundle, "config.json");
  const spec = (await Bun.file(path).json()) as RuntimeSpec;
  const { rlimits: _, ...started } = spec.process;
  // Without being inheritable they cannot be had: tiffin says so, and crun says nothing.
  const { ambient: __, ...capabilities } = started.capabilities ?? {};
  const changed = {
    ...spec,
    root: { path: busyboxRoot() },
    process: { ...started, capabilities, terminal: false, args: ["true"] },
    linux: { ...spec.linux, cgroupsPath: `/${group}/bench` },
  };
  await Bun.write(path, JSON.stringify(changed));
  whenDone(() => removeGroup(group));
  return bundle;
}
