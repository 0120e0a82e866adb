import type { Resources } from "../cgroups/resources.ts";
import { validateLogOptions } from "../logs/index.ts";
import { resolveCapabilities } from "../namespaces/capabilities.ts";
import {
  namedContainers,
  type NamespacePlan,
  resolveNamespaces,
  validateModes,
} from "../namespaces/namespaces.ts";
import { validateSysctls } from "../namespaces/network.ts";
import { planRlimits } from "../namespaces/rlimits.ts";
import { planTmpfs } from "../namespaces/user-mounts.ts";
import { bindSource } from "./container-mounts.ts";
import type { EngineContext } from "./context.ts";
import { checkMountTarget } from "./mount-target.ts";
import { hasOwnNetworks } from "./networks/container-networks.ts";
import { checkRequests } from "./networks/check-requests.ts";
import { namespaceModes, securityOptions, sysctlContext } from "./spec-security.ts";
import { validateLogAttributes } from "./log-attributes.ts";
import type { ContainerSpec } from "./types.ts";
import { usableResources, validateCgroupOptions } from "./validate-resources.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { findRuntime, isForeignRuntime } from "./runtime/find-runtime.ts";

export interface ValidSpec {
  /** What the user should know. */
  readonly warnings: string[];
  /** Those of the limits asked for that the host has. */
  readonly resources: Resources;
  /** Whether the container's ids are others than the host's. */
  readonly ownIds: boolean;
  /** The first of its range when it shares another container's. */
  readonly sharedIdBase: number | undefined;
}

/**
 * Refuses at create what could not be started.
 * @throws invalid-argument with docker's words
 */
export function validateSpec(context: EngineContext, spec: ContainerSpec): ValidSpec {
  const namespaces = namespacePlan(context, spec);
  const { resources, warnings } = usableResources(context, spec.resources);
  validateCgroupOptions(spec);
  validateLogOptions(spec.logDriver, spec.logOptions);
  validateLogAttributes(spec);
  securityOptions(spec);
  validateRuntime(spec);
  resolveCapabilities(spec, { lastCapability: 40, available: (1n << 64n) - 1n });
  checkRequests(context, spec);
  validateSysctls(spec.sysctls, sysctlContext(namespaces));
  planRlimits(spec.ulimits, 0);
  spec.mountPoints.forEach((mount, index) => {
    checkMountTarget(mount);
    if (mount.type === "tmpfs") planTmpfs(mount, index);
    else if (mount.type === "bind" && !mount.source.startsWith("/")) {
      throw invalidArgument(
        `Invalid bind mount source "${mount.source}": it must be an absolute path`,
      );
    } else if (mount.type === "bind") bindSource(mount);
  });
  if (spec.workingDirectory !== "" && !spec.workingDirectory.startsWith("/")) {
    throw invalidArgument(
      `The working directory '${spec.workingDirectory}' is invalid, it needs to be an absolute path`,
    );
  }
  return {
    warnings: [...namespaces.warnings, ...warnings, ...firewallWarnings(context, spec)],
    resources,
    ownIds: namespaces.userNamespace !== "host",
    sharedIdBase: namespaces.userNamespaceOf?.idBase,
  };
}

/** Where nobody chose to be without nf_tables. */
function firewallWarnings({ networks }: EngineContext, spec: ContainerSpec): string[] {
  const { policy, obstacle } = networks.firewall;
  if (policy === "none" || obstacle === "" || !hasOwnNetworks(spec)) return [];
  return [
    `The container does not reach other hosts, and its ports are passed on by the engine: ${obstacle}`,
  ];
}

/** @throws invalid-argument in docker's words; not-implemented for what only the engine itself can do */
function validateRuntime(spec: ContainerSpec): void {
  if (!isForeignRuntime(spec.runtime)) return;
  findRuntime(spec.runtime);
  const [option] = [
    ...(spec.init ? ["--init"] : []),
    ...(spec.timeOffsetSeconds === 0 ? [] : ["--time-offset"]),
  ];
  if (option === undefined) return;
  throw new TiffinError(
    "not-implemented",
    `Cannot use ${option} with --runtime ${spec.runtime}: only the engine itself does that`,
    { hint: "Leave one of the two out" },
  );
}

/** The namespaces of a container, with what is known of those that it joins. */
export function namespacePlan(context: EngineContext, spec: ContainerSpec): NamespacePlan {
  const modes = namespaceModes(spec, context.host.cgroupVersion);
  validateModes(modes);
  const targets = new Map(
    namedContainers(modes).map((name) => {
      const { id, idBase, spec: its } = context.containers.find(name);
      const ipcShareable = its.ipcMode === "shareable" || its.ipcMode.startsWith("container:");
      return [name, { id, idBase, ipcShareable }] as const;
    }),
  );
  return resolveNamespaces(modes, targets);
}
