import { call, type Fork, type Operation, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { AT, CLONE, MNT_DETACH, MOVE_MOUNT, MS, O } from "../kernel/flags.ts";
import { FIRST_INHERITED_FD, planBecomeRoot, planEndWithEngine } from "../launch/process-plan.ts";
import { planStage } from "../launch/tell-stage.ts";
import { planPrivateTree } from "../namespaces/kernel-mounts.ts";
import {
  attachMount,
  cloneTree,
  mountAttributes,
  openTarget,
  planReadOnlyRoot,
  setMountAttributes,
} from "../namespaces/mount-operations.ts";
import { planCgroupNamespace, planHostname } from "../namespaces/namespaces.ts";
import { planLoopback, planSysctls } from "../namespaces/network.ts";
import {
  limitsByTime,
  planKeyring,
  planOomScoreAdjust,
  planRlimits,
  type ResourceLimit,
} from "../namespaces/rlimits.ts";
import { type ConsolePlan, planConsole, planConsoleSocket } from "./console.ts";
import { planIdmaps } from "./plan-idmaps.ts";
import type { DevicePlan } from "./plan-devices.ts";
import type { MaskPlan } from "./plan-masks.ts";
import { kernelMounts, type PlannedMount } from "./plan-mounts.ts";
import { mapText, type OciNamespaces, planEnter, planTimeOffsets } from "./plan-namespaces.ts";
import { type OciProcess, planProgram } from "./plan-process.ts";
import type { Propagation } from "./mount-options.ts";
import type { RuntimeSpec } from "../base/runtime-spec.ts";
import type { SecurityPlan } from "./security-modules.ts";

export interface OciContainer {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly rootfs: string;
  readonly namespaces: OciNamespaces;
  readonly cgroup: CgroupPlan;
  readonly mounts: readonly PlannedMount[];
  readonly devices: DevicePlan;
  readonly masks: MaskPlan;
  readonly process: OciProcess;
  readonly limits: readonly ResourceLimit[];
  readonly propagation: Propagation;
  readonly console: ConsolePlan | null;
  /** The seccomp filter has a listener: the runtime hands its descriptor on. */
  readonly notifies: boolean;
  /** Between namespaces and root: the runtime's hooks run while the launcher waits. */
  readonly stopsForHooks: boolean;
  readonly noPivot: boolean;
  readonly noKeyring: boolean;
  /** Of the fifo that start writes to, when the process waits for that. */
  readonly fifo: string | null;
  readonly security: SecurityPlan;
}

const PR_SET_NAME = 15;

/**
 * The whole of create (or run) as one plan. The launcher prepares what only the host can give, tells the runtime of the stages, and
 * leaves; the container's first process is the runtime's child (CLONE_PARENT), and after it that of whoever adopts its
 * children. Pure, but for what the parts looked up.
 */
export function planCreate(container: OciContainer): Operation[] {
  const { cgroup, process } = container;
  return [
    call("prctl", [PR_SET_NAME, "tiffin-oci", 0, 0, 0], "name the launcher"),
    ...planEndWithEngine(),
    // Descriptor 4 was the program's: what is opened from now on lies above all that is passed on.
    call("openat", [AT.FDCWD, "/", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "fill a gap"),
    ...["mapped", "prepared", "parted", "ready", "mounted", "hooked", "listening"].map((name) =>
      call("eventfd2", [0, O.CLOEXEC], `make the signal "${name}"`, { result: name }),
    ),
    ...planExecutedPipe(),
    ...(container.fifo === null
      ? []
      : [
          call("openat", [AT.FDCWD, container.fifo, O.RDWR | O.CLOEXEC, 0], "open the fifo", {
            result: "fifo",
          }),
        ]),
    ...planConsoleSocket(container.console),
    ...planIdmaps(container.mounts),
    ...cgroup.create,
    ...planFork(container),
    ...planHostSide(container),
    ...planFinish(process, container.notifies),
  ];
}

export function planExecutedPipe(): Operation[] {
  const pair = { scratch: "executed", size: 8 };
  return [
    call("pipe2", [pair, O.CLOEXEC], "make a pipe to see the program start"),
    { control: "load", from: pair, offset: 0, result: "executed.read", reason: "take its end" },
    { control: "load", from: pair, offset: 4, result: "executed.write", reason: "take its end" },
  ];
}

/** Who enters namespaces is a process of its own: one who entered a user namespace has no power over the host any more. */
function planFork(container: OciContainer): Operation[] {
  const { cgroup, namespaces } = container;
  const fork: Fork = {
    control: "fork",
    flags:
      namespaces.cloneFlags |
      CLONE.FILES |
      CLONE.PIDFD |
      CLONE.PARENT |
      (cgroup.intoCgroup ? CLONE.INTO_CGROUP : 0n),
    ...(cgroup.intoCgroup ? { intoCgroup: cgroup.intoCgroup } : {}),
    pid: "pid",
    pidfd: "pidfd",
    reason: "start the container's first process in new namespaces",
    hints: {
      EUSERS: "Too many user namespaces: raise /proc/sys/user/max_user_namespaces",
      ENOSPC: "Too many namespaces: raise the limits in /proc/sys/user",
      EPERM: "It takes CAP_SYS_ADMIN: run it as root",
    },
    child: planContainerSide(container),
  };
  if (namespaces.joins.length === 0) return [fork];
  return [
    call("eventfd2", [0, O.CLOEXEC], "make the signal that the container is there", {
      result: "joined",
    }),
    {
      control: "fork",
      // The runtime's child too: with CLONE_PARENT again the container's parent is then the runtime.
      flags: CLONE.FILES | CLONE.PIDFD | CLONE.PARENT,
      pid: "joiner",
      pidfd: "joiner.pidfd",
      reason: "start a process that enters namespaces",
      child: [
        ...planEnter(namespaces, FIRST_INHERITED_FD),
        fork,
        { control: "signal", eventfd: register("joined"), reason: "tell the launcher" },
        call("exit_group", [0], "leave"),
      ],
    },
    {
      control: "wait",
      for: register("joined"),
      until: "readable",
      peer: register("joiner.pidfd"),
      reason: "wait until the container is there",
    },
  ];
}

/** What only the host's side can do for the container, while that one waits. */
function planHostSide(container: OciContainer): Operation[] {
  const { namespaces, mounts } = container;
  return [
    // The container makes its own mounts private and its network meanwhile.
    ...container.cgroup.limit,
    ...planUserNamespace(container),
    {
      control: "signal",
      eventfd: register("mapped"),
      reason: "tell that the groups and the ids are there",
    },
    ...planRlimits(limitsByTime(container.limits).early, register("pid")),
    cloneTree({
      from: container.rootfs,
      result: "rootfs",
      recursive: true,
      reason: `open the root ${container.rootfs}`,
    }),
    ...planRootPropagation(container.propagation),
    ...mounts.flatMap(({ detached }) => (detached?.side === "supervisor" ? detached.make : [])),
    ...(namespaces.hasUserNamespace ? container.devices.prepare : []),
    { control: "signal", eventfd: register("prepared"), reason: "tell that the tree is ready" },
    ...(container.stopsForHooks
      ? [
          {
            control: "wait" as const,
            for: register("mounted"),
            until: "readable" as const,
            peer: register("pidfd"),
            reason: "wait until everything is mounted",
          },
          ...planStage(register("pid"), "the namespaces are there", true),
          {
            control: "signal" as const,
            eventfd: register("hooked"),
            reason: "tell that the hooks have run",
          },
        ]
      : []),
  ];
}

/** Peers of the host's mounts must not be the container's; `shared` is a group of its own, made later (planLateShare). */
function planRootPropagation({ flag }: Propagation): Operation[] {
  const first = flag === MS.SLAVE ? MS.SLAVE : MS.PRIVATE;
  return [
    setMountAttributes(register("rootfs"), mountAttributes({ propagation: first }), {
      recursive: true,
      reason: "keep the container's mounts from the host",
    }),
  ];
}

function planUserNamespace(container: OciContainer): Operation[] {
  const { namespaces, spec } = container;
  if (!namespaces.hasUserNamespace) return [];
  const pid = { scratch: "pid text", size: 24 };
  const { uidMappings = [], gidMappings = [] } = spec.linux ?? {};
  const write = (file: string, text: string): Operation[] => [
    call("openat", [register("proc.pid"), file, O.WRONLY | O.CLOEXEC, 0], `open ${file}`, {
      result: "map",
    }),
    call("write", [register("map"), Buffer.from(text), text.length], `write ${file}`, {
      hints: { EINVAL: "Mappings must not overlap, and there are at most 340" },
    }),
    call("close", [register("map")], `close ${file}`),
  ];
  return [
    { control: "decimal", from: register("pid"), to: pid, reason: "write the process number" },
    call("openat", [AT.FDCWD, "/proc", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open /proc", {
      result: "proc.root",
    }),
    call(
      "openat",
      [register("proc.root"), pid, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
      "find the process in /proc",
      { result: "proc.pid" },
    ),
    ...(namespaces.isNew("user")
      ? [...write("uid_map", mapText(uidMappings)), ...write("gid_map", mapText(gidMappings))]
      : []),
    call(
      "openat",
      [register("proc.pid"), "ns/user", O.RDONLY | O.CLOEXEC, 0],
      "open the container's user namespace",
      { result: "userns" },
    ),
  ];
}

function planContainerSide(container: OciContainer): Operation[] {
  const { spec, namespaces } = container;
  const { oomScoreAdj } = spec.process ?? {};
  return [
    ...planGuard(),
    ...planPrivateTree(),
    call(
      "openat",
      [AT.FDCWD, container.rootfs, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
      "find the place for the root",
      { result: "place" },
    ),
    ...container.security.open,
    ...(namespaces.hasUserNamespace ? [] : planNames(container)),
    {
      control: "wait",
      for: register("mapped"),
      until: "readable",
      reason: "wait until the groups and the ids are there",
    },
    ...(oomScoreAdj === undefined ? [] : planOomScoreAdjust(oomScoreAdj)),
    ...container.cgroup.enter,
    ...(namespaces.isNew("cgroup") ? planCgroupNamespace() : []),
    ...(namespaces.isNew("time") ? planTimeOffsets(spec.linux?.timeOffsets ?? {}) : []),
    ...(namespaces.hasUserNamespace ? [...planBecomeRoot(), ...planNames(container)] : []),
    ...(container.noKeyring ? [] : planKeyring(container.id)),
    ...container.mounts.flatMap(({ detached }) =>
      detached?.side === "container" ? detached.make : [],
    ),
    ...container.masks.material,
    {
      control: "wait",
      for: register("prepared"),
      until: "readable",
      reason: "wait until the tree is ready",
    },
    ...planKernelSettings(container),
    ...planTree(container),
    ...(container.stopsForHooks ? planHookStop() : []),
    ...planEnterRoot(container),
    ...planInside(container),
    ...planProgram(container.process, [
      "executed.write",
      "ready",
      ...(container.fifo === null ? [] : ["fifo"]),
      "listening",
      ...container.security.opened,
    ]),
  ];
}

function planNames({ spec, namespaces }: OciContainer): Operation[] {
  return [
    ...planHostname(spec.hostname ?? "", spec.domainname ?? ""),
    ...(namespaces.isNew("network") ? planLoopback() : []),
  ];
}

/** The child ends with the runtime, and nobody inside can look into it before it is the program. */
export function planGuard(): Operation[] {
  return [
    call("prctl", [1, 9, 0, 0, 0], "end with the runtime"),
    call("prctl", [4, 0, 0, 0, 0], "keep others from looking in"),
  ];
}

function planHookStop(): Operation[] {
  return [
    { control: "signal", eventfd: register("mounted"), reason: "tell that everything is mounted" },
    {
      control: "wait",
      for: register("hooked"),
      until: "readable",
      reason: "wait until the hooks have run",
    },
  ];
}

/** The root in its place, and what is mounted in it, while the host's tree is still around it: hooks find it by its path. */
function planTree(container: OciContainer): Operation[] {
  const root = register("rootfs");
  const { make } = container.devices;
  return [
    call(
      "move_mount",
      [root, "", register("place"), "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH],
      "mount the root",
    ),
    ...container.mounts.flatMap(({ detached, change }) =>
      detached ? attachMount(detached, root) : (change ?? []),
    ),
    ...(make.length === 0
      ? []
      : [
          ...openTarget({ root, path: "/dev", kind: "directory", result: "dev" }),
          call("umask", [0], "let modes be as they are asked for"),
          ...make,
          call("umask", [0o022], "set the file mode creation mask back"),
        ]),
  ];
}

/** From here on the host's tree is out of reach. Source: pivot_root(2), "pivot_root(".", ".")". */
function planEnterRoot({ noPivot, propagation }: OciContainer): Operation[] {
  const root = register("rootfs");
  const enter = noPivot
    ? [
        call(
          "move_mount",
          [root, "", AT.FDCWD, "/", MOVE_MOUNT.F_EMPTY_PATH],
          "mount the root over the host's",
        ),
        call("chroot", ["."], "make it the root"),
      ]
    : [
        call("pivot_root", [".", "."], "make it the root"),
        call("umount2", [".", MNT_DETACH], "let go of the host's tree"),
      ];
  const isLate = propagation.flag === MS.SHARED || propagation.flag === MS.UNBINDABLE;
  return [
    call("fchdir", [root], "enter the root"),
    ...enter,
    call("chdir", ["/"], "go to the root"),
    ...(isLate
      ? [
          setMountAttributes(root, mountAttributes({ propagation: propagation.flag }), {
            recursive: propagation.recursive,
            reason: "set how mounts in the root propagate",
          }),
        ]
      : []),
  ];
}

/** sysctls are those of the writer's namespaces, whatever proc they are written through: one that nothing is mounted over. */
function planKernelSettings({ spec, mounts }: OciContainer): Operation[] {
  const sysctls = spec.linux?.sysctl ?? {};
  if (Object.keys(sysctls).length === 0) return [];
  const own = kernelMounts(mounts).get("/proc");
  if (own !== undefined) return planSysctls(sysctls, { proc: own, mayFail: false });
  return [
    call("openat", [AT.FDCWD, "/proc", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open /proc", {
      result: "proc.settings",
    }),
    ...planSysctls(sysctls, { proc: register("proc.settings"), mayFail: false }),
  ];
}

function planInside(container: OciContainer): Operation[] {
  const { spec, process } = container;
  const root = register("rootfs");
  return [
    ...planConsole(container.console),
    ...openTarget({ root, path: process.spec.cwd, kind: "directory", result: "target" }),
    ...container.mounts.flatMap(({ last }) => last),
    ...container.masks.apply,
    ...(spec.root?.readonly === true ? planReadOnlyRoot(root) : []),
    ...planRlimits(limitsByTime(container.limits).late, 0),
  ];
}

/** The container's side has its own descriptors: the launcher waits for the gate (create) or the program (run), and leaves. */
export function planFinish(process: OciProcess, notifies: boolean): Operation[] {
  return [
    {
      control: "wait",
      for: register("parted"),
      until: "readable",
      peer: register("pidfd"),
      reason: "wait until the container has its own descriptors",
    },
    call("close", [register("executed.write")], "leave this end to the container"),
    ...(notifies
      ? [
          {
            control: "wait" as const,
            for: register("listening"),
            until: "readable" as const,
            peer: register("pidfd"),
            reason: "wait until the filter is there",
          },
          ...planStage(register("pid"), "the process is there", false),
          ...planStage(register("listener"), "its filter has a listener", true),
        ]
      : []),
    process.gate === "fifo"
      ? {
          control: "wait",
          for: register("ready"),
          until: "readable",
          peer: register("pidfd"),
          reason: "wait until all is ready",
        }
      : {
          control: "wait",
          for: register("executed.read"),
          until: "hangup",
          peer: register("pidfd"),
          reason: "wait until the program runs",
        },
    ...planStage(register("pid"), "it is done", false),
    call("exit_group", [0], "leave"),
  ];
}
