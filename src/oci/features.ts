import { existsSync } from "node:fs";
import { readLayout } from "../cgroups/layout.ts";
import { ARCHITECTURE } from "../kernel/syscall.ts";
import { CAPABILITY_NAMES } from "../namespaces/capabilities.ts";
import { exactly, parseCommandLine } from "./command-line.ts";
import type { OciCommand } from "./commands.ts";
import { MOUNT_OPTION_NAMES } from "./mount-options.ts";
import { NAMESPACE_FLAGS } from "./plan-namespaces.ts";
import { lastCapability } from "./plan-credentials.ts";
import { SECCOMP_NAMES } from "./seccomp.ts";
import { OLDEST_SPEC_VERSION, SPEC_VERSION } from "./versions.ts";
import { writeOut } from "./write-out.ts";

/** What the runtime can do, as data (runtime-spec features.md, features-linux.md). */
export const features: OciCommand = (words) => {
  exactly(parseCommandLine(words, {}), 0, "features");
  const cgroups = readLayout();
  const shown = {
    ociVersionMin: OLDEST_SPEC_VERSION,
    ociVersionMax: SPEC_VERSION,
    hooks: [
      "prestart",
      "createRuntime",
      "createContainer",
      "startContainer",
      "poststart",
      "poststop",
    ],
    mountOptions: MOUNT_OPTION_NAMES,
    linux: {
      namespaces: Object.keys(NAMESPACE_FLAGS).toSorted(),
      capabilities: CAPABILITY_NAMES.slice(0, lastCapability() + 1),
      cgroup: {
        v1: cgroups.kind !== "v2",
        v2: cgroups.unified !== null,
        systemd: false,
        systemdUser: false,
        rdma: true,
      },
      seccomp: { enabled: true, ...SECCOMP_NAMES[ARCHITECTURE] },
      apparmor: { enabled: existsSync("/sys/module/apparmor") },
      selinux: { enabled: existsSync("/sys/fs/selinux/enforce") },
      intelRdt: { enabled: false },
      memoryPolicy: {
        modes: [
          "MPOL_BIND",
          "MPOL_DEFAULT",
          "MPOL_INTERLEAVE",
          "MPOL_LOCAL",
          "MPOL_PREFERRED",
          "MPOL_PREFERRED_MANY",
          "MPOL_WEIGHTED_INTERLEAVE",
        ],
        flags: ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
      },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: false },
    },
    potentiallyUnsafeConfigAnnotations: [],
  };
  writeOut(`${JSON.stringify(shown, null, 2)}\n`);
  return 0;
};
