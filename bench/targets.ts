import { atMost, type Figure, ratio, type Target } from "./target.ts";
import { networkTargets } from "./network-targets.ts";
import type { Results } from "./results.ts";

export interface Verdict {
  readonly text: string;
  readonly verdict: "pass" | "miss" | "not measured";
  /** "0.055, limit 0.125". */
  readonly figures: string;
}

/** The whole command beside the low-level runtime: twice its time, and the client's own start. */
function besideRuntime(results: Results): Figure | undefined {
  const value = results.median("run", "tiffin");
  const runtime = results.median("run", "crun");
  const start = results.median("client-start", "tiffin");
  if (value === undefined || runtime === undefined || start === undefined) return undefined;
  const limit = 2 * (runtime - priceOfEntering(results)) + start;
  return { value, limit, digits: 1, unit: " ms" };
}

/** Where crun had to be run through nsenter, that is not its fault. */
function priceOfEntering(results: Results): number {
  const entering = results.median("run", "nsenter");
  const plain = results.median("run", "fork+exec");
  return entering === undefined || plain === undefined ? 0 : entering - plain;
}

function growth(results: Results): Figure | undefined {
  const first = results.median("many-first", "tiffin");
  const last = results.median("many-last", "tiffin");
  if (first === undefined || last === undefined) return undefined;
  return { value: last / first, limit: 1.5, digits: 2, unit: "" };
}

/**
 * Percent of the loop's time on the host. By the fast rounds: what slows a round down (another virtual machine on the same core,
 * a colder cache) hits one side or the other by chance and by far more than what is looked for; the very fastest round is a matter of luck too.
 */
function lostSpeed(results: Results): Figure | undefined {
  const inside = results.sample("cpu", "tiffin")?.p10;
  const host = results.sample("cpu", "host")?.p10;
  if (inside === undefined || host === undefined) return undefined;
  return { value: (inside / host - 1) * 100, limit: 1, digits: 2, unit: " %" };
}

export const targets: readonly Target[] = [
  { text: "`run --rm`: at most 1/8 of docker's time", figure: ratio("run", "docker", 1 / 8) },
  { text: "`run --rm`: at most 1/4 of podman's time", figure: ratio("run", "podman", 1 / 4) },
  { text: "the launcher's part: at most 4 ms", figure: atMost("launcher", 4, " ms") },
  {
    // 4 ms where the bare sequence takes 3.1 ms.
    text: "the launcher's part with nothing done ahead: at most 1.29 × the bare sequence",
    figure: ratio("launcher-whole", "bare sequence", 4 / 3.1),
  },
  { text: "`run --rm`: at most 2 × crun + `tiffin --version`", figure: besideRuntime },
  { text: "`oci run`: at most crun's time", figure: ratio("oci-run", "crun", 1) },
  { text: "`exec`: at most 1/4 of docker's time", figure: ratio("exec", "docker", 1 / 4) },
  { text: "`stop`: at most 1/4 of docker's time", figure: ratio("stop", "docker", 1 / 4) },
  { text: "`rm -f`: at most 1/4 of docker's time", figure: ratio("rm", "docker", 1 / 4) },
  { text: "`ps`, 1 container: no slower than docker", figure: ratio("ps-1", "docker", 1) },
  { text: "`ps`, 50 containers: no slower than docker", figure: ratio("ps-50", "docker", 1) },
  { text: "beside a container: at most 200 kB", figure: atMost("beside", 200, " kB") },
  { text: "the engine, idle: at most 50 MB", figure: atMost("idle", 50 * 1024, " kB") },
  {
    text: "log written: at most 1/6 of docker's time",
    figure: ratio("log-write", "docker", 1 / 6),
  },
  { text: "log written: no slower than podman", figure: ratio("log-write", "podman", 1) },
  { text: "log read: at most 1/10 of docker's time", figure: ratio("log-read", "docker", 1 / 10) },
  { text: "log read: at most 1/10 of podman's time", figure: ratio("log-read", "podman", 1 / 10) },
  { text: "`logs --tail 10`: under 100 ms", figure: atMost("log-tail", 100, " ms") },
  { text: "`logs --since`: under 100 ms", figure: atMost("log-since", 100, " ms") },
  {
    text: "`cp` of 10,000 files in: at most 1/3 of docker's time",
    figure: ratio("cp-in", "docker", 1 / 3),
  },
  {
    text: "`cp` of 10,000 files out: at most 1/3 of docker's time",
    figure: ratio("cp-out", "docker", 1 / 3),
  },
  { text: "`diff`, 10,000 changes: under 300 ms", figure: atMost("diff", 300, " ms") },
  {
    text: "`stats --no-stream`, 50 containers: under 200 ms",
    figure: atMost("stats-50", 200, " ms"),
  },
  {
    text: "100 checks a second by HTTP: under 5 % of a core",
    figure: atMost("health-http", 5, " %"),
  },
  {
    text: "100 checks a second by TCP: under 5 % of a core",
    figure: atMost("health-tcp", 5, " %"),
  },
  {
    text: "`pull`, 1 layer: at most 1/2 of docker's time",
    figure: ratio("pull-1", "docker", 1 / 2),
  },
  {
    text: "`pull`, 6 layers: at most 1/2 of docker's time",
    figure: ratio("pull-6", "docker", 1 / 2),
  },
  { text: "`pull`, 1 layer: at most 1.2 × `tar -x`", figure: ratio("pull-1", "tar -x", 1.2) },
  { text: "`pull`, 6 layers: at most 1.2 × `tar -x`", figure: ratio("pull-6", "tar -x", 1.2) },
  {
    text: "`pull` of shared layers: fetches the new layer alone",
    figure: ratio("pull-shared", "new layer", 1.01),
  },
  { text: "`load`: at most 1/2 of docker's time", figure: ratio("load", "docker", 1 / 2) },
  { text: "`save`: at most 1/2 of docker's time", figure: ratio("save", "docker", 1 / 2) },
  {
    text: "the engine while it pulls 1 GB: at most 150 MB",
    figure: atMost("pull-memory", 150 * 1024, " kB"),
  },
  {
    text: "the engine's list of 1,000 images: under 50 ms",
    figure: atMost("image-ls-engine", 50, " ms"),
  },
  { text: "the 200th start: at most 1.5 × the 1st", figure: growth },
  { text: "CPU speed lost in a container: under 1 %", figure: lostSpeed },
  ...networkTargets,
];

export function judge(results: Results): Verdict[] {
  return targets.map(({ text, figure }) => {
    const found = figure(results);
    if (found === undefined) return { text, verdict: "not measured", figures: "" };
    const { value, limit, digits, unit } = found;
    const written = (number: number): string => `${number.toFixed(digits)}${unit}`;
    const verdict = value <= limit ? "pass" : "miss";
    return { text, verdict, figures: `${written(value)}, limit ${written(limit)}` };
  });
}
