import { isTiffinError, TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import type { PortsChange } from "../network/port-changes.ts";
import type { NetworkRate } from "../base/network-rate.ts";
import type { Resources } from "../cgroups/resources.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { mergeResources } from "./merge-resources.ts";
import { changedPorts, leadPorts } from "./networks/change-ports.ts";
import { applyRate, checkRate, isSameRate } from "./networks/limit-rate.ts";
import type { RestartPolicy } from "./restart-policy.ts";
import { isRunning } from "./stop-container.ts";
import type { ContainerSpec } from "./types.ts";
import { usableResources } from "./validate-resources.ts";

/** What changes; what is absent stays. */
export interface ContainerUpdate {
  readonly resources: Resources;
  readonly restartPolicy?: RestartPolicy;
  readonly ports?: PortsChange;
  /** null: none any more. */
  readonly networkRate?: NetworkRate | null;
}

/**
 * Changes a container's limits, network rate, restart policy and published ports, at once when it runs. Recorded first, and as under way, so that a killed
 * engine's successor makes the kernel say what the record says (recover.ts); a change that the kernel refuses is undone.
 * @throws invalid-argument; conflict: with what is set, or the kernel refuses it (less memory than is in use), or
 * a port is somebody else's
 */
export function updateContainer(
  context: EngineContext,
  name: string,
  change: ContainerUpdate,
): Promise<{ warnings: string[] }> {
  const { id } = context.containers.find(name);
  return context.lock.hold(id, () => {
    const container = context.containers.find(id);
    const { spec, warnings } = changedSpec(context, container, change);
    const isLive = isRunning(container);
    context.containers.setSpec(id, spec, isLive ? "updating" : container.phase);
    faultPoint("update:recorded");
    if (isLive) apply(context, container, spec, change);
    emitContainerEvent(context, container, "update");
    return { warnings };
  });
}

function changedSpec(
  context: EngineContext,
  container: StoredContainer,
  { resources: asked, restartPolicy, ports, networkRate }: ContainerUpdate,
): { spec: ContainerSpec; warnings: string[] } {
  const { spec, phase } = container;
  if (phase === "removing") {
    throw refusal(container, 'Container is marked for removal and cannot be "update"');
  }
  if (spec.autoRemove && restartPolicy !== undefined && restartPolicy.name !== "no") {
    throw refusal(
      container,
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  const { resources, warnings } = usableResources(context, merged(container, asked));
  const policy = restartPolicy === undefined ? {} : { restartPolicy };
  const bindings = ports === undefined ? {} : changedPorts(context, container, ports);
  const rate = networkRate === undefined ? {} : { networkRate };
  const changed = { ...spec, resources, ...policy, ...bindings, ...rate };
  if (networkRate) checkRate(context, changed);
  return { spec: changed, warnings };
}

function merged(container: StoredContainer, asked: Resources): Resources {
  try {
    return mergeResources(container.spec.resources, asked);
  } catch (error) {
    throw isTiffinError(error, "conflict") ? refusal(container, error.message, error) : error;
  }
}

function apply(
  context: EngineContext,
  container: StoredContainer,
  spec: ContainerSpec,
  change: ContainerUpdate,
): void {
  const { id, phase } = container;
  let takePortsBack = (): void => undefined;
  try {
    if (change.ports !== undefined) takePortsBack = leadPorts(context, { ...container, spec });
    applyLimits(context, id, spec);
    applyNewRate(context, container, spec);
    faultPoint("update:applied");
    context.containers.setSpec(id, spec, phase);
  } catch (error) {
    context.containers.setSpec(id, container.spec, phase);
    takePortsBack();
    throw isTiffinError(error, "conflict") ? refusal(container, error.message, error) : error;
  }
}

/** When the kernel refuses it, what was there before is put back, the other limits too. */
function applyNewRate(context: EngineContext, before: StoredContainer, spec: ContainerSpec): void {
  const { id } = before;
  if (isSameRate(before.spec.networkRate, spec.networkRate)) return;
  try {
    applyRate(context, id, spec);
  } catch (error) {
    applyLimits(context, id, before.spec);
    applyRate(context, id, before.spec);
    throw error;
  }
}

/** Makes the kernel's limits of a running container those of its spec. */
export function applyLimits({ cgroups }: EngineContext, id: string, spec: ContainerSpec): void {
  try {
    cgroups.update(id, spec.resources);
  } catch (error) {
    // It ended at this moment: the limits are for its next start.
    if (!isTiffinError(error, "not-found")) throw error;
  }
}

function refusal({ id }: StoredContainer, reason: string, cause?: TiffinError): TiffinError {
  return new TiffinError("conflict", `Cannot update container ${id}: ${reason}`, {
    ...(cause?.hint === undefined ? {} : { hint: cause.hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
