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
    else if (key === "apparmor") checkAppArmor(value);
    else if (key === "label") checkLabel(value);
    else
      throw invalidArgument(
        `Invalid --security-opt: "${option}"`,
        "Known: no-new-privileges, seccomp=FILE, systempaths=unconfined",
      );
  }
  return { noNewPrivileges, seccomp, unmaskedPaths };
}

function checkAppArmor(profile: string): void {
  if (profile === "" || profile === "unconfined") return;
  throw new TiffinError(
    "not-implemented",
    `Cannot use AppArmor profile "${profile}": AppArmor is not supported yet`,
    {
      hint: "Leave it out, or use apparmor=unconfined",
    },
  );
}

function checkLabel(label: string): void {
  if (label === "disable") return;
  throw new TiffinError(
    "not-implemented",
    `Cannot use label "${label}": SELinux is not supported`,
    {
      hint: "Use label=disable",
    },
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
