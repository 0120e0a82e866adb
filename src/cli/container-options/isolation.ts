import { readFileSync } from "node:fs";
import { messageOf } from "../../base/error.ts";
import { openError } from "../file-error.ts";
import { type Flag, list, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { checkSysctl } from "./checks.ts";
import { toMap } from "./key-values.ts";

const map = { type: "map", shownDefault: "map[]" };

const FLAGS = {
  capAdd: list("cap-add", "Add Linux capabilities"),
  capDrop: list("cap-drop", "Drop Linux capabilities"),
  cgroupParent: text("cgroup-parent", "Optional parent cgroup for the container"),
  cgroupns: text(
    "cgroupns",
    "Cgroup namespace to use (host|private)\n'host':    Run the container in the host's cgroup namespace\n'private': Run the container in its own private cgroup namespace (default)",
  ),
  groupAdd: list("group-add", "Add additional groups to join"),
  ipc: text("ipc", "IPC mode to use"),
  pid: text("pid", "PID namespace to use"),
  privileged: toggle("privileged", "Give extended privileges to this container"),
  securityOpt: list("security-opt", "Security Options", {
    local: (value) => value.startsWith("seccomp"),
  }),
  sysctl: list("sysctl", "Sysctl options", { ...map, check: checkSysctl }),
  userns: text("userns", "User namespace to use"),
  uts: text("uts", "UTS namespace to use"),
} as const;

/** The options about what the container may do and see: namespaces, capabilities, filters. */
export const ISOLATION_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

/** Their part of HostConfig. @throws in docker's words */
export function isolationConfig(given: Arguments): Record<string, unknown> {
  const { options, pathLists } = securityOptions(given.get(FLAGS.securityOpt));
  return {
    CapAdd: orNull(given.get(FLAGS.capAdd)),
    CapDrop: orNull(given.get(FLAGS.capDrop)),
    CgroupParent: given.get(FLAGS.cgroupParent),
    CgroupnsMode: oneOf(
      given.get(FLAGS.cgroupns),
      ["host", "private"],
      "--cgroupns: invalid CGROUP mode",
    ),
    GroupAdd: orNull(given.get(FLAGS.groupAdd)),
    IpcMode: given.get(FLAGS.ipc),
    PidMode: pidMode(given.get(FLAGS.pid)),
    Privileged: given.get(FLAGS.privileged),
    SecurityOpt: orNull(options),
    UTSMode: oneOf(given.get(FLAGS.uts), ["host"], "--uts: invalid UTS mode"),
    UsernsMode: oneOf(given.get(FLAGS.userns), ["host"], "--userns: invalid USER mode"),
    ...(given.get(FLAGS.sysctl).length === 0 ? {} : { Sysctls: toMap(given.get(FLAGS.sysctl)) }),
    ...pathLists,
  };
}

function orNull(values: readonly string[]): readonly string[] | null {
  return values.length === 0 ? null : values;
}

function oneOf(mode: string, words: readonly string[], message: string): string {
  if (mode !== "" && !words.includes(mode)) throw new Error(message);
  return mode;
}

function pidMode(mode: string): string {
  return /^container:./.test(mode) ? mode : oneOf(mode, ["host"], "--pid: invalid PID mode");
}

/** The engine cannot read the client's files: a seccomp profile goes as its JSON. */
function securityOptions(given: readonly string[]): {
  options: string[];
  pathLists: { MaskedPaths?: string[]; ReadonlyPaths?: string[] };
} {
  const unconfined = given.includes("systempaths=unconfined");
  const options = given
    .filter((option) => option !== "systempaths=unconfined")
    .map((option) => {
      const [key = "", value = ""] = option.split(/[=:](.*)/s);
      if (key === "no-new-privileges") return option;
      if (value === "") throw new Error(`invalid --security-opt: ${JSON.stringify(option)}`);
      const isFile = key === "seccomp" && value !== "unconfined" && value !== "builtin";
      return isFile ? `seccomp=${readProfile(value)}` : option;
    });
  return { options, pathLists: unconfined ? { MaskedPaths: [], ReadonlyPaths: [] } : {} };
}

function readProfile(file: string): string {
  let profile: string;
  try {
    profile = readFileSync(file, "utf8");
  } catch (error) {
    const reason = messageOf(openError(file, error));
    throw new Error(`opening seccomp profile (${file}) failed: ${reason}`, { cause: error });
  }
  try {
    return JSON.stringify(JSON.parse(profile));
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`compacting json for seccomp profile (${file}) failed: ${reason}`, {
      cause: error,
    });
  }
}
