import { invalidArgument, TiffinError } from "../base/error.ts";
import type { NamespaceModes, NamespacePlan } from "../namespaces/namespaces.ts";
import type { SysctlContext } from "../namespaces/network.ts";
import type { ContainerSpec } from "./types.ts";

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** "default", "unconfined", or a profile as docker's JSON. */
  readonly seccomp: string;
  /** docker's `systempaths=unconfined`: nothing is masked or read-only. */
  readonly unmaskedPaths: boolean;
}

/** @throws invalid-argument for an option that docker does not know, not-implemented for SELinux */
export function securityOptions(spec: ContainerSpec): SecurityOptions {
  let noNewPrivileges = false;
  let seccomp = spec.privileged ? "unconfined" : "default";
  let unmaskedPaths = spec.privileged;
  for (const option of spec.securityOptions) {
    const [, key = option, value = ""] = /^([a-z-]+)[=:](.*)$/s.exec(option) ?? [];
    if (key === "no-new-privileges") noNewPrivileges = value !== "false";
    else if (key === "seccomp") seccomp = value === "builtin" ? "default" : value;
    else if (key === "systempaths") unmaskedPaths = value === "unconfined" || unmaskedPaths;
    else if (key === "apparmor") refuseProfile(key, value, "unconfined");
    else if (key === "label") refuseProfile(key, value, "disable");
    else
      throw invalidArgument(
        `Invalid --security-opt: "${option}"`,
        "Known: no-new-privileges, seccomp=FILE, systempaths=unconfined",
      );
  }
  return { noNewPrivileges, seccomp, unmaskedPaths };
}

/** SELinux and AppArmor: only doing without them is possible. */
function refuseProfile(key: "apparmor" | "label", value: string, none: string): void {
  if (value === "" || value === none) return;
  const [what, module] =
    key === "apparmor" ? ["AppArmor profile", "AppArmor"] : ["label", "SELinux"];
  throw new TiffinError(
    "not-implemented",
    `Cannot use ${what} "${value}": ${module} is not supported yet`,
    { hint: `Leave it out, or use ${key}=${none}` },
  );
}

export function namespaceModes(spec: ContainerSpec, cgroupVersion: 1 | 2): NamespaceModes {
  const {
    pidMode,
    ipcMode,
    utsMode,
    usernsMode,
    cgroupnsMode,
    networkMode,
    privileged,
    hostname,
    domainname,
    timeOffsetSeconds,
  } = spec;
  return {
    pidMode,
    ipcMode,
    utsMode,
    usernsMode,
    cgroupnsMode,
    networkMode,
    privileged,
    hostname,
    domainname,
    timeOffsetSeconds,
    cgroupVersion,
  };
}

export function sysctlContext(namespaces: NamespacePlan): SysctlContext {
  return {
    ownNetwork: namespaces.network === "own",
    ownIpc: namespaces.ipc === "own" || namespaces.ipc === "shareable" || namespaces.ipc === "none",
    ownUts: namespaces.uts === "own",
    ownUser: namespaces.userNamespace !== "host",
  };
}
