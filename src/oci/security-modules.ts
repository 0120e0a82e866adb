import { existsSync, readFileSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { call, type Operation } from "../base/operation.ts";
import { O } from "../kernel/flags.ts";
import { keptRegister } from "./plan-process.ts";
import type { SpecLinux, SpecProcess } from "../base/runtime-spec.ts";

export interface SecurityPlan {
  /** While the host's /proc is there. Container side. */
  readonly open: readonly Operation[];
  /** Before the program. */
  readonly apply: readonly Operation[];
  /** Registers of what was opened. */
  readonly opened: readonly string[];
}

/**
 * The security module's label for the program. @throws unavailable when the kernel has no such module, or labels of mounts are
 * asked for, which Tiffin does not set
 */
export function planSecurityModules(
  process: SpecProcess,
  mountLabel: SpecLinux["mountLabel"],
): SecurityPlan {
  const { apparmorProfile = "", selinuxLabel = "" } = process;
  if (mountLabel !== undefined && mountLabel !== "") {
    throw new TiffinError(
      "unavailable",
      "Cannot set mountLabel: labels of mounts are not set here",
    );
  }
  const open: Operation[] = [];
  const apply: Operation[] = [];
  const opened: string[] = [];
  const add = (file: string, text: string, what: string): void => {
    const fd = `label.${opened.length}`;
    opened.push(fd);
    open.push(
      call("openat", [-100, `/proc/self/attr/${file}`, O.WRONLY | O.CLOEXEC, 0], `open ${file}`, {
        result: fd,
      }),
    );
    const bytes = Buffer.from(text);
    apply.push(call("write", [keptRegister(fd), bytes, bytes.length], `set ${what}`));
  };
  if (apparmorProfile !== "" && apparmorProfile !== "unconfined") {
    if (!isAppArmorEnabled()) {
      throw new TiffinError(
        "unavailable",
        `Cannot use the AppArmor profile "${apparmorProfile}": apparmor not enabled on the host`,
        { hint: "Leave process.apparmorProfile out" },
      );
    }
    const own = existsSync("/proc/self/attr/apparmor/exec") ? "apparmor/exec" : "exec";
    add(own, `exec ${apparmorProfile}`, `the AppArmor profile ${apparmorProfile}`);
  }
  if (selinuxLabel !== "") {
    if (!existsSync("/sys/fs/selinux/enforce")) {
      throw new TiffinError(
        "unavailable",
        `Cannot use the SELinux label "${selinuxLabel}": selinux not enabled on the host`,
        { hint: "Leave process.selinuxLabel out" },
      );
    }
    add("exec", selinuxLabel, `the SELinux label ${selinuxLabel}`);
  }
  return { open, apply, opened };
}

function isAppArmorEnabled(): boolean {
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    // No such module.
    return false;
  }
}
