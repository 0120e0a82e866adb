import { invalidArgument } from "../base/error.ts";

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** "default", "unconfined", or the JSON text of a profile. */
  readonly seccomp: string;
  /** false: nothing in /proc and /sys is masked or read-only. */
  readonly masksPaths: boolean;
  readonly writableCgroups: boolean;
  /** What the user should know, as sentences. */
  readonly warnings: readonly string[];
}

/**
 * docker's --security-opt: `no-new-privileges[=true|false]`, `seccomp=unconfined|builtin|JSON`, `systempaths=unconfined`,
 * `writable-cgroups=true|false`. `apparmor=` and `label=` are read: unconfined is what a container is (another LSM's profile is
 * refused, since it would not be enforced). Privileged implies unconfined seccomp and no masks, unless a profile is given.
 *
 * @throws invalid-argument
 */
export function readSecurityOptions(
  options: readonly string[],
  privileged: boolean,
): SecurityOptions {
  let noNewPrivileges = false;
  let seccomp = privileged ? "unconfined" : "default";
  let masksPaths = !privileged;
  let writableCgroups = privileged;
  const warnings: string[] = [];
  for (const option of options) {
    // docker's older form has a colon; JSON may hold either, behind the first.
    const [, key = "", value = ""] = /^([a-z-]+)(?:[=:]([\s\S]*))?$/.exec(option) ?? [];
    if (key === "no-new-privileges") {
      noNewPrivileges = readBoolean(option, value === "" ? "true" : value);
    } else if (key === "seccomp" && value !== "") {
      seccomp = value === "builtin" ? "default" : value;
    } else if (key === "systempaths" && value === "unconfined") {
      masksPaths = false;
    } else if (key === "writable-cgroups") {
      writableCgroups = readBoolean(option, value);
    } else if (key === "apparmor" || key === "label") {
      checkOtherModule(option, key, value, warnings);
    } else {
      throw invalidArgument(
        `Cannot use --security-opt ${JSON.stringify(option)}: it is unknown`,
        "Use no-new-privileges, seccomp=FILE or systempaths=unconfined",
      );
    }
  }
  return { noNewPrivileges, seccomp, masksPaths, writableCgroups, warnings };
}

function readBoolean(option: string, value: string): boolean {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw invalidArgument(
    `Cannot use --security-opt ${JSON.stringify(option)}: ${JSON.stringify(value)} is neither true nor false`,
  );
}

function checkOtherModule(option: string, key: string, value: string, warnings: string[]): void {
  if (key === "label") {
    if (value !== "disable")
      warnings.push(`--security-opt ${option} has no effect: SELinux is not used`);
    return;
  }
  if (value === "unconfined" || value === "docker-default" || value === "") return;
  throw invalidArgument(
    `Cannot use --security-opt ${JSON.stringify(option)}: AppArmor profiles are not supported`,
    "Use apparmor=unconfined, or leave it out",
  );
}
