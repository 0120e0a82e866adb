import { expect, test } from "bun:test";
import type { Operation } from "../base/operation.ts";
import { planContainerLaunch } from "./container-plan.ts";
import { examplePlan } from "./container-plan-fixture.ts";
import { planReadyLaunch, planRestOfLaunch } from "./ready-plan.ts";

const { namespaces, cgroup, idBase, interfaces, links } = examplePlan;
const first = planReadyLaunch({
  cloneFlags: namespaces.cloneFlags,
  cgroup,
  idBase,
  interfaces,
  links,
});
const rest = planRestOfLaunch({ ...examplePlan, interfaces: [], links: [] });

function sides(plan: readonly Operation[]): { supervisor: Operation[]; container: Operation[] } {
  const fork = plan.find((step) => "control" in step && step.control === "fork");
  const child = fork && "child" in fork ? fork.child : [];
  return { supervisor: [...plan], container: [...child] };
}

const reasons = (steps: readonly Operation[]): string[] => steps.map(({ reason }) => reason);

test("what is begun ahead and the rest are the whole start, on both sides", () => {
  const whole = sides(planContainerLaunch(examplePlan));
  const begun = sides(first);
  for (const side of ["supervisor", "container"] as const) {
    const parts = new Set(reasons([...begun[side], ...rest[side]]));
    expect(reasons(whole[side]).filter((reason) => !parts.has(reason))).toEqual([]);
  }
});

test("nothing of what is begun ahead depends on the container's image, command or limits", () => {
  const begun = JSON.stringify(first, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  for (const text of ["/run/c", "overlay", "limit it", '"true"']) expect(begun).not.toContain(text);
});

test("both sides of the first part end in a place for the rest", () => {
  const { supervisor, container } = sides(first);
  for (const side of [supervisor, container]) {
    expect(side.at(-1)).toMatchObject({ control: "rest" });
    expect(side.filter((step) => "control" in step && step.control === "rest")).toHaveLength(1);
  }
});

test("what the supervisor opened ahead is closed before it watches over the container", () => {
  const opened = first.flatMap((step) =>
    "call" in step && ["openat", "eventfd2"].includes(step.call) ? (step.result ?? []) : [],
  );
  const closed = [...first, ...rest.supervisor].flatMap((step) => {
    const [what] = "call" in step && step.call === "close" ? step.args : [];
    return what !== null && typeof what === "object" && "register" in what ? what.register : [];
  });
  expect(opened.filter((name) => !closed.includes(name))).toEqual([]);
});
