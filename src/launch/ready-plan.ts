import { call, type Operation, register, type Wait } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { O } from "../kernel/flags.ts";
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
import { planStage } from "./tell-stage.ts";

/** What can be done for a container before the rest of it is known. */
export interface ReadyPlan {
  readonly cloneFlags: bigint;
  readonly cgroup: CgroupPlan;
  /** Not 0: it has a user namespace of its own. */
  readonly idBase: number;
  /** As in a ContainerPlan: what is made from outside, and what is brought up inside then, the loopback at least. */
  readonly links: readonly Operation[];
  readonly interfaces: readonly Operation[];
}

/**
 * The first part of a container's start, which may run long before the rest ({@link planRestOfLaunch}) is known: its groups,
 * its namespaces, its ids, its interfaces. It then tells the first process' pid, and both processes wait. They end with the engine.
 */
export function planReadyLaunch(plan: ReadyPlan): Operation[] {
  return [
    ...planEndWithEngine(),
    planMappedSignal(),
    planSignal("linked", "make the signal that the interfaces are there"),
    planSignal("begun", "make the signal that the container has begun"),
    ...plan.cgroup.create,
    planContainerFork(plan, plan.cloneFlags, [
      ...planGuard(),
      ...planPrivateTree(),
      ...planSession(),
      waitFor("linked", "wait until the interfaces are there"),
      ...plan.interfaces,
      call("close", [register("netlink")], "close the netlink socket"),
      {
        control: "signal",
        eventfd: register("begun"),
        reason: "tell that the container has begun",
      },
      planMappedWait(),
      { control: "rest", reason: "go on as the container" },
    ]),
    ...plan.links,
    ...(plan.links.length === 0
      ? []
      : [call("close", [register("links")], "close the netlink socket")]),
    {
      control: "signal",
      eventfd: register("linked"),
      reason: "tell that the interfaces are there",
    },
    ...plan.cgroup.groups,
    ...planIdMaps({ idBase: plan.idBase, isOwn: true }),
    { ...waitFor("begun", "wait until the container has begun"), peer: register("pidfd") },
    ...planStage(register("pid"), "the container has begun", false),
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

function planSignal(name: string, reason: string): Operation {
  return call("eventfd2", [0, O.CLOEXEC], reason, { result: name });
}

function waitFor(name: string, reason: string): Wait {
  return { control: "wait", for: register(name), until: "readable", reason };
}

/**
 * What {@link planReadyLaunch} leaves to be done. The container's namespaces are those that it made, and `links` and `interfaces`
 * what it has not made.
 */
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
        "linked",
        "begun",
        "pidfd",
        "proc.root",
        "proc.pid",
        "userns",
        ...intoCgroup(plan.cgroup),
      ]),
    ],
    container: [...planPlace(plan), ...plan.interfaces, ...planInsideGroups(plan)],
  };
}

function intoCgroup({ intoCgroup: into }: CgroupPlan): string[] {
  return into ? [into.register] : [];
}
