import type { Walk } from "./packet-walk.ts";
import type { Protocol } from "./network.ts";

/** Who listens on a port: nobody, or only for the namespace's own loopback. */
export type Listening = "yes" | "no" | "loopback" | "unknown";

/** What the engine and the kernel say of a port of the host. */
export interface TraceFacts {
  readonly port: number;
  readonly protocol: Protocol;
  /** Whose port it is; undefined: no container's that runs. */
  readonly target?: {
    readonly container: string;
    readonly hostIp: string;
    readonly address: string;
    readonly containerPort: number;
    readonly network: string;
    readonly bridge: string;
    readonly hasBridge: boolean;
    readonly isPaused: boolean;
    readonly listening: Listening;
  };
  /** Containers that would publish it if they ran. */
  readonly stopped: readonly string[];
  /** Who listens on the host itself: `process 812 (nginx)`. */
  readonly hostListener: string;
  readonly table: string;
  readonly hasTable: boolean;
  readonly forwards: boolean;
  /** Chains of other tables on the way. */
  readonly walks: readonly Walk[];
}

export interface TraceStep {
  readonly state: "ok" | "bad" | "unsure";
  readonly text: string;
}

export interface PortTrace {
  readonly steps: readonly TraceStep[];
  readonly verdict: "reached" | "not reached" | "unsure" | "not published";
  readonly reason: string;
  /** "": nothing is to be done. */
  readonly hint: string;
}

interface Problem {
  readonly reason: string;
  readonly hint: string;
}

/** The way of a packet, step by step, and what comes of it. */
export function tracePort(facts: TraceFacts): PortTrace {
  return facts.target === undefined ? traceUnpublished(facts) : tracePublished(facts, facts.target);
}

function traceUnpublished(facts: TraceFacts): PortTrace {
  const { hostListener, stopped } = facts;
  const name = `${facts.port}/${facts.protocol}`;
  const steps: TraceStep[] = [{ state: "bad", text: `no running container publishes ${name}` }];
  const [first] = stopped;
  for (const one of stopped) {
    steps.push({ state: "bad", text: `container "${one}" would, and does not run` });
  }
  if (hostListener === "") {
    steps.push({ state: "bad", text: "nobody on the host listens on it" });
    const hint =
      first === undefined
        ? `Publish it: tiffin update --publish-add ${facts.port}:PORT CONTAINER`
        : `tiffin start ${first}`;
    return { steps, verdict: "not published", reason: `nobody has port ${name}`, hint };
  }
  steps.push({ state: "ok", text: `${hostListener} listens on the host itself` });
  const walked = facts.walks.map(walkStep).filter((one) => one !== undefined);
  return {
    steps: [...steps, ...walked.map(({ step }) => step)],
    verdict: "not published",
    reason: `port ${name} is ${hostListener}'s`,
    hint: "",
  };
}

function tracePublished(facts: TraceFacts, target: NonNullable<TraceFacts["target"]>): PortTrace {
  const steps: TraceStep[] = [];
  const problems: Problem[] = [];
  const doubts: Problem[] = [];
  const see = (isGood: boolean, good: string, bad: string, hint: string): void => {
    steps.push(isGood ? { state: "ok", text: good } : { state: "bad", text: bad });
    if (!isGood) problems.push({ reason: bad, hint });
  };
  const at = target.hostIp.includes(":") ? `[${target.hostIp}]` : target.hostIp;
  const to = target.address.includes(":") ? `[${target.address}]` : target.address;
  const goal = `${to}:${target.containerPort}`;
  steps.push({
    state: "ok",
    text: `${at}:${facts.port}/${facts.protocol} is published by container "${target.container}"`,
  });
  const { table } = facts;
  see(
    facts.hasTable,
    `table inet ${table} leads it to ${goal}`,
    `table inet ${table} is not in the kernel: somebody flushed it`,
    "tiffin system check --repair",
  );
  see(
    facts.forwards,
    "the host forwards packets (ip_forward)",
    "the host forwards no packets (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)",
    "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
  );
  for (const walk of facts.walks) {
    const seen = walkStep(walk);
    if (!seen) continue;
    steps.push(seen.step);
    const problem = {
      reason: seen.step.text,
      hint: `Let it through there, before that: nft insert rule ${walk.family} ${walk.table} ${walk.chain} ct status dnat accept`,
    };
    if (walk.outcome === "drops") problems.push(problem);
    else doubts.push(problem);
  }
  see(
    target.hasBridge,
    `network ${target.network}, bridge ${target.bridge}`,
    `network ${target.network} has no bridge ${target.bridge}`,
    `tiffin restart ${target.container}`,
  );
  see(
    !target.isPaused,
    `container "${target.container}" runs`,
    `container "${target.container}" is paused`,
    `tiffin unpause ${target.container}`,
  );
  seeListener(facts, target, { steps, problems, doubts });
  const [problem] = problems;
  const [doubt] = doubts;
  if (problem) return { steps, verdict: "not reached", ...problem };
  if (doubt) return { steps, verdict: "unsure", ...doubt };
  return { steps, verdict: "reached", reason: `it comes to ${goal}`, hint: "" };
}

function seeListener(
  { protocol }: TraceFacts,
  { listening, containerPort, container }: NonNullable<TraceFacts["target"]>,
  found: { steps: TraceStep[]; problems: Problem[]; doubts: Problem[] },
): void {
  const port = `port ${containerPort}/${protocol}`;
  if (listening === "yes") {
    found.steps.push({ state: "ok", text: `it listens on ${port}` });
  } else if (listening === "unknown") {
    const text = `whether it listens on ${port} cannot be told`;
    found.steps.push({ state: "unsure", text });
    found.doubts.push({ reason: text, hint: `tiffin top ${container}` });
  } else {
    const isLoopback = listening === "loopback";
    const text = isLoopback
      ? `it listens on ${port} at its own loopback alone`
      : `nobody in it listens on ${port}`;
    found.steps.push({ state: "bad", text });
    const hint = isLoopback
      ? "Let the program listen at 0.0.0.0"
      : `tiffin logs ${container} may say why; is ${containerPort} the program's port?`;
    found.problems.push({ reason: text, hint });
  }
}

/** undefined: the chain lets it pass. */
function walkStep(walk: Walk): { step: TraceStep } | undefined {
  if (walk.outcome === "passes") return undefined;
  const place = `table ${walk.family} ${walk.table}, ${walk.hook} chain ${walk.chain}`;
  const isCertain = walk.outcome === "drops";
  const from = walk.hook === "forward" ? " what comes from other hosts and networks" : " it";
  const text = `${place}: ${walk.by} ${isCertain ? "drops" : "may drop"}${from}`;
  return { step: { state: isCertain ? "bad" : "unsure", text } };
}
