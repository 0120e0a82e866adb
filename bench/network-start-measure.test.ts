import { expect, test } from "bun:test";
import { networkShare } from "./network-start-measure.ts";

const step = (reason: string, call: string, milliseconds: number) => ({
  side: "supervisor",
  reason,
  call,
  nanoseconds: milliseconds * 1e6,
});

test("steps of the network are told from the others, and a namespace that is made from one that was ready", () => {
  const steps = [
    step("make the cgroup /sys/fs/cgroup/tiffin", "mkdirat(…)", 8),
    step("start a process that enters namespaces of other containers", "clone3(0x1400)", 16),
    step("start the container's first process in new namespaces", "clone3(0x27c021400) -> pid", 1),
    step("connect eth0 to its network", "sendto(…)", 2),
    step("bring up the interfaces with their addresses and routes", "sendto(…)", 4),
  ];
  expect(networkShare(steps)).toEqual({ stepsMs: 6, cloneMs: 1, isMade: true });
  const ready = steps.map((one) => ({ ...one, ahead: true }));
  expect(networkShare(ready)).toEqual({ stepsMs: 0, cloneMs: 0, isMade: false });
});
