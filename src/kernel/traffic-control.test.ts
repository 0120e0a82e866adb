import { expect, test } from "bun:test";
import { join } from "node:path";

const isAble =
  process.getuid?.() === 0 && Bun.which("tc") !== null && Bun.which("unshare") !== null;
if (!isAble) console.log("skipped: queues of interfaces: root, tc and unshare are needed");

interface Queue {
  readonly kind: string;
  readonly dev: string;
  readonly options?: { readonly rate?: number; readonly burst?: number; readonly lat?: number };
}

/** Queues and filters of an interface whose rate is limited both ways, as tc reads them from the kernel. */
function limited(down: number, up: number): { queues: Queue[]; filters: string; error: string } {
  const fixture = join(import.meta.dir, "traffic-control-fixture.ts");
  const script = [
    "ip link add near type veth peer name far && ip link add shaper type ifb",
    // sysfs shows the interfaces of the namespace that it was mounted in.
    "mount -t sysfs sysfs /sys",
    `${process.execPath} ${fixture} ${down} ${up}`,
    "tc -j qdisc show && echo ==== && tc -j filter show dev near ingress",
  ].join(" && ");
  const run = Bun.spawnSync(["unshare", "-nm", "sh", "-c", script]);
  const [queues = "[]", filters = ""] = run.stdout.toString().split("====");
  return {
    queues: JSON.parse(queues === "" ? "[]" : queues) as Queue[],
    filters,
    error: run.stderr.toString(),
  };
}

test.skipIf(!isAble)("the kernel takes a rate for each direction", () => {
  const { queues, filters, error } = limited(20_000_000, 8_000_000_000);
  expect(error).toBe("");
  const rate = (dev: string): number =>
    queues.find((queue) => queue.dev === dev && queue.kind === "tbf")?.options?.rate ?? 0;
  // Bytes a second of frames: 14 more for each packet of 1500.
  expect(rate("near")).toBe(Math.ceil((20_000_000 / 8) * (1514 / 1500)));
  expect(rate("shaper")).toBe(Math.ceil(1_000_000_000 * (1514 / 1500)));
  expect(queues.some(({ dev, kind }) => dev === "near" && kind === "ingress")).toBe(true);
  expect(filters).toContain('"to_dev":"shaper"');
});

test.skipIf(!isAble)("a rate beyond 32 bits is told whole", () => {
  const { queues } = limited(100_000_000_000, 1_000_000);
  const near = queues.find(({ dev, kind }) => dev === "near" && kind === "tbf");
  expect(near?.options?.rate).toBe(Math.ceil(12_500_000_000 * (1514 / 1500)));
});
