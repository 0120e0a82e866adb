import { existsSync } from "node:fs";
import type { Operation } from "../../base/operation.ts";
import { ARCHITECTURE } from "../../kernel/syscall.ts";
import { CONSOLE_NAME, planRuntimeContainer, ROOT_NAME } from "../../launch/runtime-plan.ts";
import type { ProcessPlan } from "../../launch/process-plan.ts";
import { overlayClones, type OverlayPlan, planOverlay } from "../../layers/overlay-plan.ts";
import { mapText } from "../../namespaces/id-range.ts";
import { type MaskedPath, READ_ONLY_PATHS } from "../../namespaces/masked-paths.ts";
import type { NamespacePlan } from "../../namespaces/namespaces.ts";
import { defaultSysctls } from "../../namespaces/network.ts";
import { seccompProfile } from "../../namespaces/seccomp/filter.ts";
import type { DeviceRule } from "../../cgroups/resources.ts";
import { containerDirectories } from "../container-directories.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import type { RequestedDevices } from "../host-devices.ts";
import { planMappedNamespace } from "../mapped-namespace.ts";
import { securityOptions, sysctlContext } from "../spec-security.ts";
import { configText, runtimeConfig } from "./runtime-config.ts";
import { runtimeMounts } from "./runtime-mounts.ts";
import { runtimeProcess } from "./runtime-process.ts";
import { commonWords, RUNTIME_FILES, rootPlace, runtimeProgram } from "./runtime-program.ts";
import { runtimeResources } from "./runtime-resources.ts";
import { runtimeSeccomp } from "./runtime-seccomp.ts";

/** What a start of any container works out, whoever makes it (plan-container.ts). */
export interface StartParts {
  readonly process: ProcessPlan;
  readonly namespaces: NamespacePlan;
  readonly devices: RequestedDevices;
  readonly deviceRules: readonly DeviceRule[];
  readonly joinPidfds: ReadonlyMap<string, number>;
  readonly overlay: OverlayPlan;
  readonly maskedPaths: readonly MaskedPath[];
  /** As ContainerPlan has them. */
  readonly links: readonly Operation[];
  readonly interfaces: readonly Operation[];
  readonly linkSysctls: Readonly<Record<string, string>>;
}

/** The start of a container by an OCI runtime of the host's. @throws invalid-argument (runtime), unavailable */
export function planByRuntime(
  context: EngineContext,
  container: StoredContainer,
  parts: StartParts,
): Operation[] {
  const { id, spec, idBase } = container;
  const runtime = runtimeProgram(context, spec.runtime);
  const { run } = containerDirectories(context.places, id);
  const place = rootPlace([run, runtime.path]);
  const mounts = runtimeMounts(context, container, { ...parts, place });
  const namespace = planMappedNamespace({
    name: "ids",
    maps: { uid_map: mapText(idBase), gid_map: mapText(idBase) },
    what: "of the container's files",
    reason: `show its files with ids from ${idBase} on`,
    result: "userns",
  });
  const common = commonWords(run, run);
  const verb = (word: string, ...more: string[]): string[] => [...common, word, ...more, id];
  const config = configText(
    runtimeConfig(
      configParts(context, container, { ...parts, mounts, rootPath: `${place}/${ROOT_NAME}` }),
    ),
  );
  return planRuntimeContainer({
    process: parts.process,
    cgroup: context.cgroups.plan({
      containerId: id,
      resources: spec.resources,
      deviceRules: parts.deviceRules,
    }),
    files: [
      { name: RUNTIME_FILES.program, text: runtime.path },
      { name: RUNTIME_FILES.config, text: config },
    ],
    create: {
      runtime,
      what: "create the container",
      words: verb(
        "create",
        "--bundle",
        run,
        "--pid-file",
        `${run}/${RUNTIME_FILES.pid}`,
        ...(spec.tty ? ["--console-socket", CONSOLE_NAME] : []),
      ),
    },
    start: { runtime, what: "start the container", words: verb("start") },
    prepare: [
      ...(idBase === 0 ? [] : namespace.prepare),
      ...planOverlay(parts.overlay),
      ...mounts.prepare,
    ],
    links: parts.links,
    interfaces: parts.interfaces,
    leftMounts: overlayClones(parts.overlay),
    place,
    mounts: mounts.placed,
  });
}

function configParts(
  context: EngineContext,
  container: StoredContainer,
  parts: StartParts & { mounts: ReturnType<typeof runtimeMounts>; rootPath: string },
): Parameters<typeof runtimeConfig>[0] {
  const { id, spec, idBase } = container;
  const { namespaces, mounts } = parts;
  const { unmaskedPaths } = securityOptions(spec);
  return {
    rootPath: parts.rootPath,
    readOnlyRoot: spec.readOnlyRootfs,
    process: runtimeProcess(parts.process, { rlimits: spec.ulimits, ...spec }),
    hostname: spec.hostname,
    domainname: spec.domainname,
    annotations: spec.annotations,
    mounts: mounts.mounts,
    rootPropagation: mounts.rootPropagation,
    namespaces,
    joinPids: new Map(
      [...parts.joinPidfds.keys()].map((joined) => [
        joined,
        context.processes.get(joined)?.processId() ?? 0,
      ]),
    ),
    idBase,
    cgroupsPath: context.cgroups.paths.below(id),
    resources: runtimeResources(spec.resources, parts.deviceRules),
    devices: parts.devices.nodes,
    sysctls: {
      ...presentSysctls({ ...defaultSysctls(sysctlContext(namespaces)), ...parts.linkSysctls }),
      ...spec.sysctls,
    },
    seccomp: seccompOf(context, container, parts),
    maskedPaths: unmaskedPaths ? [] : parts.maskedPaths.map(({ path }) => path),
    readOnlyPaths: unmaskedPaths ? [] : READ_ONLY_PATHS,
  };
}

/** A runtime fails on a setting that the kernel does not have; the usual ones were not asked for. */
function presentSysctls(sysctls: Readonly<Record<string, string>>): Record<string, string> {
  const isThere = (name: string): boolean => existsSync(`/proc/sys/${name.replaceAll(".", "/")}`);
  return Object.fromEntries(Object.entries(sysctls).filter(([name]) => isThere(name)));
}

function seccompOf(
  { hostDetails }: EngineContext,
  { spec }: StoredContainer,
  { process }: StartParts,
): ReturnType<typeof runtimeSeccomp> | undefined {
  const { seccomp } = securityOptions(spec);
  if (seccomp === "unconfined" || spec.privileged) return undefined;
  return runtimeSeccomp(seccompProfile(seccomp), {
    architecture: ARCHITECTURE,
    kernel: hostDetails.kernel,
    capabilities: process.capabilities.bounding,
  });
}
