import { call, type Operation, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { planPrivateTree } from "../namespaces/kernel-mounts.ts";
import type { RestOfPlan } from "./compile.ts";
import {
  type ContainerPlan,
  planContainerFork,
  planIdMaps,
  planInsideGroups,
  planMappedSignal,
  planMappedWait,
  planPlace,
  planTree,
  signalMapped,
} from "./container-plan.ts";
import {
  ENGINE_FD,
  planEndWithEngine,
  planGuard,
  planHoldings,
  planMemoryEvents,
  planSession,
  planSupervise,
} from "./process-plan.ts";

/** What can be done for a container that nobody has asked for yet. */
export interface ReadyPlan {
  readonly cloneFlags: bigint;
  readonly cgroup: CgroupPlan;
  /** Not 0: it has a user namespace of its own. */
  readonly idBase: number;
  /** Brings up what is in a network namespace of its own from the beginning. */
  readonly interfaces: readonly Operation[];
}

/**
 * The first part of a container's start, which may run long before the rest ({@link planRestOfLaunch}) is known: its groups,
 * its namespaces, its ids. Both processes then wait, and end with the engine.
 */
export function planReadyLaunch(plan: ReadyPlan): Operation[] {
  return [
    ...planEndWithEngine(),
    planMappedSignal(),
    ...plan.cgroup.create,
    planContainerFork(plan, plan.cloneFlags, [
      ...planGuard(),
      ...planPrivateTree(),
      ...planSession(),
      ...plan.interfaces,
      call("close", [register("netlink")], "close the netlink socket"),
      planMappedWait(),
      { control: "rest", reason: "go on as the container" },
    ]),
    ...plan.cgroup.groups,
    ...planIdMaps({ idBase: plan.idBase, isOwn: true }),
    {
      control: "wait",
      for: ENGINE_FD,
      until: "readable",
      peer: register("pidfd"),
      reason: "wait for the container's plan",
    },
    { control: "rest", reason: "go on as the supervisor" },
  ];
}

/** What {@link planReadyLaunch} leaves to be done. The container's namespaces are those that it made. */
export function planRestOfLaunch(plan: ContainerPlan): RestOfPlan {
  return {
    supervisor: [
      ...planHoldings(plan.process),
      ...plan.links,
      ...plan.cgroup.limit,
      ...planMemoryEvents(plan.cgroup),
      signalMapped(),
      ...planTree(plan),
      ...planSupervise(plan.process, plan.cgroup.oomEventsPath !== undefined, [
        "mapped",
        "pidfd",
        "proc.root",
        "proc.pid",
        "userns",
        ...intoCgroup(plan.cgroup),
      ]),
    ],
    container: [
      ...planPlace(plan),
      ...(plan.links.length === 0 ? [] : plan.interfaces),
      ...planInsideGroups(plan),
    ],
  };
}

function intoCgroup({ intoCgroup: into }: CgroupPlan): string[] {
  return into ? [into.register] : [];
}
