import { invalidArgument, TiffinError } from "../base/error.ts";
import type { Operation } from "../base/operation.ts";
import { existsSync, statSync } from "node:fs";
import { writesOf } from "./group-request.ts";
import { GroupAtPath } from "../cgroups/group-at-path.ts";
import { readLayout } from "../cgroups/layout.ts";
import { planGroups } from "../cgroups/plan.ts";
import { validateSysctls } from "../namespaces/network.ts";
import { type Bundle, rootDirectory } from "./bundle.ts";
import { type ConsolePlan, consoleSocketPath } from "./console.ts";
import { PROPAGATIONS } from "./mount-options.ts";
import { resolveInRoot } from "./mount-place.ts";
import { type OciContainer, planCreate } from "./plan-container.ts";
import { availableCapabilities, lastCapability, readCapabilities } from "./plan-credentials.ts";
import { planDevices } from "./plan-devices.ts";
import { planHiddenPaths } from "./plan-masks.ts";
import { kernelMounts, planMounts } from "./plan-mounts.ts";
import { OciNamespaces } from "./plan-namespaces.ts";
import { preservedFrom, resourceLimits } from "./plan-process.ts";
import { planMemoryPolicy } from "./plan-scheduling.ts";
import { environmentWithHome } from "./process-home.ts";
import { planPersonality } from "./personality.ts";
import type { RuntimeSpec, SpecLinux, SpecProcess } from "../base/runtime-spec.ts";
import { planSeccomp, type SeccompPlan } from "./seccomp.ts";
import { planSecurityModules } from "./security-modules.ts";

export type ConsoleTarget = { readonly path: string } | "inherited" | undefined;

/** What create and run are told beside the bundle. */
export interface CreateOptions {
  readonly id: string;
  readonly bundle: Bundle;
  /** Where the terminal goes: a socket's path, the socket that the launcher inherits, or nowhere. */
  readonly consoleSocket: ConsoleTarget;
  readonly preserveFds: number;
  readonly noPivot: boolean;
  readonly noKeyring: boolean;
  /** Of the fifo that start writes to; null: the program runs at once. */
  readonly fifo: string | null;
  readonly warn: (text: string) => void;
}

/** Everything that a create does, and what it will need afterwards. Nothing is changed yet. */
export interface Prepared {
  readonly operations: readonly Operation[];
  readonly namespaces: OciNamespaces;
  readonly paths: GroupAtPath;
  readonly controllers: readonly string[];
  readonly rootfs: string;
  readonly stopsForHooks: boolean;
  readonly seccomp: SeccompPlan;
}

/** @throws invalid-argument, not-found, unavailable */
export function prepareContainer(options: CreateOptions): Prepared {
  const { bundle, id } = options;
  const { spec } = bundle;
  const linux = spec.linux ?? {};
  const rootfs = rootDirectory(bundle);
  const namespaces = new OciNamespaces(linux);
  checkSpec(spec, namespaces);
  const path = cgroupPath(linux.cgroupsPath, id);
  const { cpus = "", mems = "" } = linux.resources?.cpu ?? {};
  const paths = new GroupAtPath(readLayout(), path, cpus !== "" || mems !== "");
  const { request, controllers } = writesOf(paths, linux.resources ?? {});
  const cgroup = planGroups(paths, request);
  const processSpec = spec.process ?? UNKNOWN_PROCESS;
  checkProgram(processSpec, rootfs);
  const seccomp = planSeccomp(linux.seccomp);
  const stopsForHooks = ["prestart", "createRuntime", "createContainer"].some(
    (kind) => (spec.hooks?.[kind as "prestart"]?.length ?? 0) > 0,
  );
  const mounts = planMounts(spec.mounts ?? [], {
    bundle: bundle.path,
    rootfs,
    namespaces,
    cgroup,
    cgroupsPath: path,
  });
  const container: OciContainer = {
    id,
    spec,
    rootfs,
    namespaces,
    cgroup,
    stopsForHooks,
    mounts,
    devices: planDevices({
      devices: linux.devices ?? [],
      mounts: spec.mounts ?? [],
      rootfs,
      hasUserNamespace: namespaces.hasUserNamespace,
    }),
    masks: planHiddenPaths(linux.maskedPaths ?? [], linux.readonlyPaths ?? [], {
      mounts: spec.mounts ?? [],
      kernel: kernelMounts(mounts),
    }),
    ...planFirstProcess(processSpec, options, {
      linux,
      namespaces,
      seccomp,
      rootfs,
    }),
    limits: resourceLimits(processSpec.rlimits),
    propagation: propagationOf(linux.rootfsPropagation),
    notifies: seccomp.notify !== undefined,
    noPivot: options.noPivot,
    noKeyring: options.noKeyring,
    fifo: options.fifo,
  };
  return {
    operations: planCreate(container),
    namespaces,
    paths,
    controllers,
    rootfs,
    stopsForHooks,
    seccomp,
  };
}

/** The kernel finds out at start only, when nobody is left to tell. @throws command-not-executable */
function checkProgram({ args = [] }: SpecProcess, rootfs: string): void {
  const [command = ""] = args;
  if (!command.startsWith("/")) return;
  const path = `${rootfs}${resolveInRoot(rootfs, command)}`;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  throw new TiffinError(
    "command-not-executable",
    `Cannot run "${command}": permission denied: it is a directory`,
  );
}

/** create without `process` makes everything but that (config.md: it is needed at start). */
const UNKNOWN_PROCESS: SpecProcess = { cwd: "/", args: ["tiffin-no-process"] };

function planFirstProcess(
  spec: SpecProcess,
  options: CreateOptions,
  facts: {
    linux: SpecLinux;
    namespaces: OciNamespaces;
    seccomp: SeccompPlan;
    rootfs: string;
  },
): Pick<OciContainer, "process" | "console" | "security"> {
  const { linux, namespaces, seccomp, rootfs } = facts;
  const security = planSecurityModules(spec, linux.mountLabel);
  const last = lastCapability();
  const available = namespaces.hasUserNamespace
    ? (1n << BigInt(last + 1)) - 1n
    : availableCapabilities();
  const inherited = namespaces.joins.length;
  const ownSocket = options.consoleSocket === "inherited" ? 1 : 0;
  return {
    process: {
      spec,
      capabilities: readCapabilities(spec.capabilities, available, options.warn),
      lastCapability: last,
      environment: environmentWithHome(spec, rootfs),
      seccomp: seccomp.operations,
      preserveFds: options.preserveFds,
      preservedFrom: preservedFrom(inherited + ownSocket),
      also: [
        ...planPersonality(linux.personality),
        ...planMemoryPolicy(linux.memoryPolicy),
        ...security.apply,
      ],
      gate: options.fifo === null ? "none" : "fifo",
      isKnown: spec !== UNKNOWN_PROCESS,
    },
    console: consoleOf(spec, options.consoleSocket, preservedFrom(inherited)),
    security,
  };
}

/** @throws invalid-argument when a terminal has nowhere to go, or a socket nothing to get */
export function consoleOf(
  spec: SpecProcess,
  socket: ConsoleTarget,
  inheritedFd: number,
  isFirst = true,
): ConsolePlan | null {
  if (spec.terminal !== true) {
    if (socket === undefined) return null;
    throw invalidArgument(
      "Cannot use the console socket: the process has no terminal (process.terminal)",
    );
  }
  if (socket === undefined) {
    throw invalidArgument(
      "Cannot make a terminal: it has nowhere to go",
      "Give a --console-socket, or set process.terminal to false",
    );
  }
  const { height = 0, width = 0 } = spec.consoleSize ?? {};
  return {
    socket: socket === "inherited" ? inheritedFd : consoleSocketPath(socket.path),
    owner: spec.user?.uid ?? 0,
    rows: height,
    columns: width,
    isFirst,
  };
}

function checkSpec(spec: RuntimeSpec, namespaces: OciNamespaces): void {
  const { hostname = "", domainname = "", linux = {} } = spec;
  if ((hostname !== "" || domainname !== "") && !namespaces.has("uts")) {
    throw invalidArgument("Cannot set the hostname or domainname without a uts namespace");
  }
  validateSysctls(linux.sysctl ?? {}, {
    ownNetwork: namespaces.has("network"),
    ownIpc: namespaces.has("ipc"),
    ownUts: namespaces.has("uts"),
    ownUser: namespaces.hasUserNamespace,
  });
  if (linux.intelRdt !== undefined && !existsSync("/sys/fs/resctrl/schemata")) {
    throw new TiffinError(
      "unavailable",
      "Cannot use intelRdt: no resctrl file system is mounted on the host",
    );
  }
  const unsupported = [
    [linux.intelRdt !== undefined, "intelRdt"],
    [Object.keys(linux.netDevices ?? {}).length > 0, "netDevices"],
  ] as const;
  const found = unsupported.find(([isAsked]) => isAsked);
  if (found === undefined) return;
  throw new TiffinError("not-implemented", `Cannot use linux.${found[1]}: it is not supported`);
}

/** @throws invalid-argument */
function propagationOf(word: string | undefined): OciContainer["propagation"] {
  const propagation = PROPAGATIONS[word === undefined || word === "" ? "rprivate" : word];
  if (propagation !== undefined) return propagation;
  throw invalidArgument(`Cannot use rootfsPropagation "${word}": there is no such`);
}

/**
 * `linux.cgroupsPath` below the mount points; a relative one is taken below the top. systemd's form `SLICE:PREFIX:NAME` names
 * the directory that systemd would make for it. @throws invalid-argument
 */
export function cgroupPath(written: string | undefined, id: string): string {
  if (written === undefined || written === "") return `/tiffin-oci/${id}`;
  const [slice, prefix, name, ...rest] = written.split(":");
  const plain =
    slice !== undefined && prefix !== undefined && name !== undefined && rest.length === 0
      ? `${slicePath(slice === "" ? "system.slice" : slice)}/${unitName(prefix, name)}`
      : written;
  const parts = plain.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || parts.length === 0) {
    throw invalidArgument(`Cannot use cgroupsPath ${JSON.stringify(written)}: it is no path`);
  }
  return `/${parts.join("/")}`;
}

/** `a-b.slice` is in `a.slice` (systemd.slice(5)). */
function slicePath(slice: string): string {
  const parts = slice.replace(/\.slice$/, "").split("-");
  if (slice === "-.slice") return "";
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}

function unitName(prefix: string, name: string): string {
  if (name.endsWith(".slice")) return name;
  return prefix === "" ? `${name}.scope` : `${prefix}-${name}.scope`;
}
