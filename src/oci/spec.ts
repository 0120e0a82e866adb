import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TiffinError } from "../base/error.ts";
import { DEFAULT_CAPABILITIES } from "../namespaces/capabilities.ts";
import { MASKED_PATHS, READ_ONLY_PATHS } from "../namespaces/masked-paths.ts";
import { exactly, parseCommandLine } from "./command-line.ts";
import type { OciCommand } from "./commands.ts";
import type { RuntimeSpec, SpecMount } from "../base/runtime-spec.ts";
import { SPEC_VERSION } from "./versions.ts";

/** Writes a config.json to start from. @throws already-exists */
export const spec: OciCommand = (words) => {
  const line = parseCommandLine(words, { "bundle|b": "value", rootless: "switch" });
  exactly(line, 0, "spec [--bundle DIRECTORY] [--rootless]");
  const path = join(line.value("bundle") ?? ".", "config.json");
  if (existsSync(path)) {
    throw new TiffinError("already-exists", `Cannot write ${path}: it exists`);
  }
  const text = JSON.stringify(exampleSpec(line.has("rootless")), null, 2);
  writeFileSync(path, `${text}\n`, { flag: "wx" });
  return 0;
};

const SEALED = ["nosuid", "noexec", "nodev"];

function exampleSpec(rootless: boolean): RuntimeSpec {
  const capabilities = [...DEFAULT_CAPABILITIES];
  return {
    ociVersion: SPEC_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "tiffin",
    mounts: exampleMounts(rootless),
    linux: {
      ...(rootless
        ? {
            uidMappings: [{ containerID: 0, hostID: process.getuid?.() ?? 0, size: 1 }],
            gidMappings: [{ containerID: 0, hostID: process.getgid?.() ?? 0, size: 1 }],
          }
        : { resources: { devices: [{ allow: false, access: "rwm" }] } }),
      namespaces: [
        "pid",
        ...(rootless ? [] : ["network"]),
        "ipc",
        "uts",
        "mount",
        "cgroup",
        ...(rootless ? ["user"] : []),
      ].map((type) => ({ type })),
      maskedPaths: MASKED_PATHS.map(({ path }) => path),
      readonlyPaths: READ_ONLY_PATHS,
    },
  };
}

function exampleMounts(rootless: boolean): SpecMount[] {
  const tmpfs = (destination: string, source: string, options: string[]): SpecMount => ({
    destination,
    type: "tmpfs",
    source,
    options,
  });
  return [
    { destination: "/proc", type: "proc", source: "proc", options: SEALED },
    tmpfs("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        ...(rootless ? [] : ["gid=5"]),
      ],
    },
    tmpfs("/dev/shm", "shm", [...SEALED, "mode=1777", "size=65536k"]),
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: SEALED },
    rootless
      ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", ...SEALED, "ro"] }
      : { destination: "/sys", type: "sysfs", source: "sysfs", options: [...SEALED, "ro"] },
    ...(rootless
      ? []
      : [
          {
            destination: "/sys/fs/cgroup",
            type: "cgroup",
            source: "cgroup",
            options: [...SEALED, "relatime", "ro"],
          },
        ]),
  ];
}
