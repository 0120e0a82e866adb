import { existsSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { type Operation, register } from "../base/operation.ts";
import { ALL_DEVICES, DEFAULT_DEVICE_RULES, parseDeviceRule } from "../cgroups/devices.ts";
import type { DeviceRule } from "../cgroups/resources.ts";
import type { RestOfPlan } from "../launch/compile.ts";
import { type ContainerPlan, planContainerLaunch } from "../launch/container-plan.ts";
import { planRestOfLaunch } from "../launch/ready-plan.ts";
import { streamBits } from "../launch/frames.ts";
import { FIRST_INHERITED_FD, type ProcessPlan } from "../launch/process-plan.ts";
import { overlayClones, type OverlayPlan, planOverlay } from "../layers/overlay-plan.ts";
import { maskedPaths, READ_ONLY_PATHS } from "../namespaces/masked-paths.ts";
import type { NamespacePlan } from "../namespaces/namespaces.ts";
import { defaultSysctls } from "../namespaces/network.ts";
import {
  type PlannedLink,
  planInterfaces,
  planLinks,
  planMadeLinks,
} from "../network/link-operations.ts";
import { containerDirectories } from "./container-directories.ts";
import { planContainerMounts } from "./container-mounts.ts";
import type { StoredContainer } from "./container-table.ts";
import { containerLayers, containerUser } from "./container-root.ts";
import type { EngineContext } from "./context.ts";
import { type RequestedDevices, requestedDevices } from "./host-devices.ts";
import { logSettings } from "./log-settings.ts";
import { commandLine } from "./merge-image-config.ts";
import { planConfinement } from "./plan-confinement.ts";
import { commandCandidates, processEnvironment } from "./process-environment.ts";
import { canBeReady } from "./ready-containers.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import { planByRuntime, type StartParts } from "./runtime/plan-runtime-container.ts";
import { securityOptions, sysctlContext } from "./spec-security.ts";
import type { ContainerSpec } from "./types.ts";
import { namespacePlan } from "./validate-spec.ts";

/** Who else is in a network must not tell a container where to send its packets (CVE-2020-13401). */
const QUIET_NEIGHBOURS = { "net.ipv6.conf.all.accept_ra": "0" };

/** The plan of a start, and the descriptors that its launcher must inherit. */
export interface StartPlan {
  readonly operations: () => Operation[];
  /** For a launch that is ready (ready-containers.ts): what is left to be done. */
  readonly rest?: () => RestOfPlan;
  readonly inherited: readonly number[];
}

export interface StartOptions {
  /** What the engine's connection is subscribed to from the start. */
  readonly streams: { readonly stdout: boolean; readonly stderr: boolean };
  /** Number of the next rotated log file. */
  readonly nextLog: number;
  /** Its interfaces, whose addresses are taken. */
  readonly links: readonly PlannedLink[];
}

/**
 * Everything that a start does, from what is recorded of the container and what the host is. Nothing is changed yet.
 * @throws not-found, conflict (a container to join does not run), invalid-argument (user)
 */
export function planContainer(
  context: EngineContext,
  container: StoredContainer,
  options: StartOptions,
): StartPlan {
  const { spec, idBase } = container;
  const namespaces = namespacePlan(context, { ...spec, hostname: "", domainname: "" });
  const devices = requestedDevices(spec);
  const joined = joinedProcesses(context, namespaces, idBase);
  const parts: StartParts = {
    process: processPlan(context, container, { ...options, inheritedFds: joined.fds.length }),
    namespaces,
    devices,
    deviceRules: deviceRules(spec, devices),
    joinPidfds: joined.registers,
    overlay: overlayPlan(context, container),
    maskedPaths: pathsToMask(context),
    links: planLinks(options.links),
    interfaces: namespaces.network === "own" ? planInterfaces(options.links) : [],
    linkSysctls: options.links.length > 0 ? QUIET_NEIGHBOURS : {},
  };
  const { fds: inherited } = joined;
  if (isForeignRuntime(spec.runtime)) {
    return { operations: () => planByRuntime(context, container, parts), inherited };
  }
  const plan = planByEngine(context, container, parts);
  const rest = (): RestOfPlan =>
    planRestOfLaunch({ ...plan, ...restOfNetwork(namespaces, options.links) });
  return {
    operations: () => planContainerLaunch(plan),
    ...(canBeReady(spec, namespaces) ? { rest } : {}),
    inherited,
  };
}

/** Of a launch that is ready, the loopback is up, and what was made ahead is there. */
function restOfNetwork(
  { network }: NamespacePlan,
  links: readonly PlannedLink[],
): Pick<ContainerPlan, "links" | "interfaces"> {
  const missing = links.filter(({ isMade }) => isMade !== true);
  return {
    links: [...planLinks(missing), ...planMadeLinks(links.filter(({ isMade }) => isMade === true))],
    interfaces: network === "own" && missing.length > 0 ? planInterfaces(missing) : [],
  };
}

/** The container is made by the launch itself. */
function planByEngine(
  context: EngineContext,
  container: StoredContainer,
  parts: StartParts,
): ContainerPlan {
  const { spec, idBase } = container;
  const { namespaces, overlay } = parts;
  const unmasked = securityOptions(spec).unmaskedPaths;
  const cgroup = context.cgroups.plan({
    containerId: container.id,
    resources: spec.resources,
    deviceRules: parts.deviceRules,
  });
  const mounts = planContainerMounts(context, container, { ...parts, cgroup });
  return {
    id: container.id,
    process: parts.process,
    namespaces,
    joinPidfds: parts.joinPidfds,
    idBase,
    cgroup,
    rootfs: planOverlay(overlay),
    leftMounts: overlayClones(overlay),
    prepare: mounts.prepare,
    mounts: mounts.mounts,
    hostname: spec.hostname,
    domainname: spec.domainname,
    timeOffsetSeconds: spec.timeOffsetSeconds,
    rlimits: spec.ulimits,
    links: parts.links,
    interfaces: parts.interfaces,
    sysctls: {
      asked: spec.sysctls,
      usual: {
        ...defaultSysctls(sysctlContext(namespaces)),
        ...parts.linkSysctls,
      },
    },
    oomScoreAdjust: spec.oomScoreAdjust,
    maskedPaths: unmasked ? [] : parts.maskedPaths,
    readOnlyPaths: unmasked ? [] : READ_ONLY_PATHS.filter((path) => existsSync(path)),
    readOnlyRoot: spec.readOnlyRootfs,
  };
}

function deviceRules(spec: ContainerSpec, { rules }: RequestedDevices): DeviceRule[] {
  if (spec.privileged) return [...ALL_DEVICES];
  return [...DEFAULT_DEVICE_RULES, ...rules, ...spec.deviceCgroupRules.flatMap(parseDeviceRule)];
}

/** A fresh proc and sysfs have what the host's have: what the host lacks need not be looked for inside. */
function pathsToMask(context: EngineContext): ReturnType<typeof maskedPaths> {
  const all = maskedPaths(context.hostDetails.thermalThrottleCpus);
  return all.filter(({ path }) => existsSync(path));
}

function overlayPlan(context: EngineContext, container: StoredContainer): OverlayPlan {
  const { id, idBase } = container;
  const { writable } = containerDirectories(context.places, id);
  return {
    layers: containerLayers(context, container),
    writableDirectory: writable,
    ...(idBase === 0 ? {} : { userNamespace: register("userns") }),
    idBase,
    kernel: context.hostDetails.kernel,
  };
}

function joinedProcesses(
  context: EngineContext,
  namespaces: NamespacePlan,
  idBase: number,
): { registers: Map<string, number>; fds: number[] } {
  const fds: number[] = [];
  const registers = new Map<string, number>();
  const { userNamespaceOf } = namespaces;
  if (userNamespaceOf && userNamespaceOf.idBase !== idBase) throw otherIds(userNamespaceOf.id);
  for (const { target } of namespaces.joins) {
    const process = context.processes.get(target.id);
    if (!process) throw notRunning(target.id);
    registers.set(target.id, FIRST_INHERITED_FD + fds.length);
    fds.push(process.descriptor());
  }
  return { registers, fds };
}

function processPlan(
  context: EngineContext,
  container: StoredContainer,
  options: StartOptions & { inheritedFds: number },
): ProcessPlan {
  const { id, spec } = container;
  const user = containerUser(context, container, spec.user, spec.groupAdd);
  const argv = commandLine(spec);
  const environment = processEnvironment(spec.environment, { ...user, ...spec });
  const workingDirectory = spec.workingDirectory || "/";
  const directories = containerDirectories(context.places, id);
  return {
    argv,
    candidates: commandCandidates(argv[0] ?? "", environment, workingDirectory),
    environment,
    workingDirectory,
    ...user,
    ...planConfinement(context, spec, {
      isRoot: user.uid === 0,
      privileged: spec.privileged,
      ownIds: container.idBase !== 0,
    }),
    init: spec.init,
    tty: spec.tty,
    terminalSize: spec.terminalSize,
    openStdin: spec.openStdin,
    closeStdinWithClient: spec.openStdin && spec.stdinOnce,
    engineStreams: streamBits(options.streams),
    inheritedFds: options.inheritedFds,
    runDirectory: directories.run,
    log: logSettings(spec, directories.logs, options.nextLog),
  };
}

/** A container of the same name was made anew since. */
function otherIds(id: string): TiffinError {
  return new TiffinError(
    "conflict",
    `Cannot join a namespace of container ${id.slice(0, 12)}: its range of user ids is another one than when this container was made`,
    { hint: "Remove this container and make it again" },
  );
}

function notRunning(id: string): TiffinError {
  return new TiffinError(
    "conflict",
    `Cannot join a namespace of container ${id.slice(0, 12)}: it is not running`,
    {
      hint: `Start it first: tiffin start ${id.slice(0, 12)}`,
    },
  );
}
