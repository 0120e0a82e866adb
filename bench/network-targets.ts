import { RATE_ROWS } from "./network-rate-measure.ts";
import type { Results } from "./results.ts";
import { atMost, type Figure, ratio, type Target } from "./target.ts";

/** By what is faster, not by what takes longer. */
function noSlower(row: string, to: string): Target["figure"] {
  return (results) => {
    const mine = results.median(row, "tiffin");
    const other = results.median(row, to);
    if (mine === undefined || other === undefined) return undefined;
    return { value: other / mine, limit: 1, digits: 3, unit: "" };
  };
}

/** Where it makes a namespace, that is what the start of its process takes longer than one without. */
function unpooledStart(results: Results): Figure | undefined {
  const steps = results.sample("network-steps", "tiffin")?.p10;
  const own = results.sample("network-clone", "tiffin")?.p10;
  const without = results.sample("network-clone", "without")?.p10;
  if (steps === undefined || own === undefined || without === undefined) return undefined;
  return { value: steps + own - without, limit: 2, digits: 2, unit: " ms" };
}

function pooledStart(results: Results): Figure | undefined {
  const value = results.sample("network-steps-pooled", "tiffin")?.p10;
  return value === undefined ? undefined : { value, limit: 0.5, digits: 2, unit: " ms" };
}

function moreThanNone(ways: "range" | "single"): Target["figure"] {
  return (results) => {
    const none = results.median("network-ports", "none");
    const value = results.median("network-ports", ways);
    if (none === undefined || value === undefined) return undefined;
    return { value: value - none, limit: 20, digits: 1, unit: " ms" };
  };
}

function worstRate(results: Results): Figure | undefined {
  const off = RATE_ROWS.flatMap(({ name }) => results.median(name, "tiffin") ?? []);
  if (off.length === 0) return undefined;
  return { value: Math.max(...off), limit: 5, digits: 1, unit: " %" };
}

export const networkTargets: readonly Target[] = [
  {
    text: "`run --rm`, bridge: at most 1/8 of docker's time",
    figure: ratio("network-run", "docker", 1 / 8),
  },
  {
    text: "`run --rm`, bridge: at most 1/6 of podman's time",
    figure: ratio("network-run", "podman", 1 / 6),
  },
  { text: "the network's part of a start: at most 2 ms (p10)", figure: unpooledStart },
  { text: "the same from a pool: at most 0.5 ms (p10)", figure: pooledStart },
  {
    text: "50 started, 8 in flight, and removed: at most 1/8 of docker's time",
    figure: ratio("network-many-both", "docker", 1 / 8),
  },
  {
    text: "50 started, 8 in flight, and removed: at most 1/3 of podman's time",
    figure: ratio("network-many-both", "podman", 1 / 3),
  },
  {
    text: "TCP between containers: docker's speed at most ours",
    figure: noSlower("network-between", "docker"),
  },
  {
    text: "TCP to a published port: docker's speed at most ours",
    figure: noSlower("network-published", "docker"),
  },
  {
    text: "a connection through 127.0.0.1:PORT: at most 1/3 of docker's time",
    figure: ratio("network-connections", "docker", 1 / 3),
  },
  {
    text: "a connection through 127.0.0.1:PORT: no slower than podman's",
    figure: ratio("network-connections", "podman", 1),
  },
  { text: "a range of 1,000 published ports: 20 ms at most", figure: moreThanNone("range") },
  { text: "1,000 single published ports: 20 ms at most", figure: moreThanNone("single") },
  {
    text: "a published port: at most 0.5 kB of memory",
    figure: atMost("network-ports-memory", 0.5, " kB"),
  },
  { text: "`--net-rate`: at most 5 % from what was asked for", figure: worstRate },
];
