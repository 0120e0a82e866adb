import { expect, test } from "bun:test";
import { type Operation, type Register, register } from "../base/operation.ts";
import { examplePlan } from "./container-plan-fixture.ts";
import { planContainerLaunch } from "./container-plan.ts";

const supervisor = planContainerLaunch(examplePlan);
const container = supervisor.flatMap((step) =>
  "control" in step && step.control === "fork" ? step.child : [],
);

/** Fails when a step is missing. */
function places(steps: readonly Operation[], ...wanted: ((step: Operation) => boolean)[]): void {
  const found = wanted.map((isWanted) => steps.findIndex(isWanted));
  expect(found).not.toContain(-1);
  expect(found).toEqual(found.toSorted((a, b) => a - b));
}

const reason =
  (text: string) =>
  (step: Operation): boolean =>
    step.reason === text;
const control =
  (kind: string, name: string) =>
  (step: Operation): boolean =>
    "control" in step &&
    step.control === kind &&
    registerOf("eventfd" in step ? step.eventfd : "for" in step ? step.for : 0) === name;
const registerOf = (operand: Register | number): string | undefined =>
  typeof operand === "number" ? undefined : operand.register;
const isFork = (step: Operation): boolean => "control" in step && step.control === "fork";
const isCall =
  (name: string) =>
  (step: Operation): boolean =>
    "call" in step && step.call === name;

test("limits are set while the container's process begins, and it enters its groups only then", () => {
  places(
    supervisor,
    reason("make the v2 group"),
    isFork,
    reason("limit it"),
    control("signal", "mapped"),
    reason("mount the overlay, detached"),
    control("signal", "prepared"),
  );
  places(
    container,
    control("wait", "mapped"),
    reason("enter the v1 group"),
    reason("make its own cgroup the root of what it sees"),
    reason("become the container's root"),
    control("wait", "prepared"),
  );
});

test("what only the root's making needed goes with the host's tree", () => {
  const attached = container.flatMap((step) =>
    "call" in step && step.call === "move_mount" ? [step.args[0]] : [],
  );
  expect(attached).toEqual([register("clone"), register("rootfs")]);
  places(container, isCall("move_mount"), isCall("pivot_root"), isCall("umount2"));
});

test("descriptors of the preparation never come into the table of the program's process", () => {
  const [part] = container.filter(isCall("close_range"));
  const UNSHARE = 2;
  expect(part && "call" in part ? part.args : []).toEqual([
    register("preparation"),
    0xffffffff,
    UNSHARE,
  ]);
  // The mark is above all that the program's process keeps, and below all that is opened afterwards.
  const results = supervisor.flatMap((step) => ("result" in step ? [step.result] : []));
  const mark = results.indexOf("preparation");
  for (const kept of ["stdout.write", "stderr.write", "executed.write"]) {
    expect(results.slice(0, mark)).toContain(kept);
  }
  for (const used of ["mapped", "userns", "rootfs"]) expect(results.slice(mark)).toContain(used);
});
