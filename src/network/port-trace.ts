import type { FirewallPolicy } from "./firewall-policy.ts";
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
  readonly firewall: {
    /** The one in force. */
    readonly policy: FirewallPolicy;
    readonly table: string;
    /** What the kernel lacks of it for this port: `table inet tiffin is gone`; "": nothing. */
    readonly lack: string;
  };
  readonly forwards: boolean;
  /** Chains of other tables on the way, in the order of the way. */
  readonly walks: readonly TracedWalk[];
}

export interface TracedWalk extends Walk {
  /** Which packets of a connection: the first one, or those that follow. */
  readonly packets: "first" | "following";
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
    steps: [...steps, ...walked],
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
  for (const step of wayIn(facts, goal)) see(step.isGood, step.good, step.bad, step.hint);
  for (const walk of facts.walks) {
    const step = walkStep(walk);
    if (!step) continue;
    steps.push(step);
    if (step.state === "ok") continue;
    const problem = { reason: step.text, hint: hintFor(walk, facts) };
    if (step.state === "bad") problems.push(problem);
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

interface Check {
  readonly isGood: boolean;
  readonly good: string;
  readonly bad: string;
  readonly hint: string;
}

const POLICY_WORDS: Readonly<Record<FirewallPolicy, string>> = {
  docker: "the host's input rules are not asked",
  host: "the host's input rules decide",
  none: "the engine takes it, and the host's input rules decide",
};

/** Who leads it to the container, and whether all is there for that. */
function wayIn({ firewall, forwards }: TraceFacts, goal: string): Check[] {
  const { policy, table, lack } = firewall;
  const first = {
    isGood: true,
    good: `firewall policy ${policy}: ${POLICY_WORDS[policy]}`,
    bad: "",
    hint: "",
  };
  if (policy === "none") {
    return [first, { isGood: true, good: `the engine passes it on to ${goal}`, bad: "", hint: "" }];
  }
  return [
    first,
    {
      isGood: lack === "",
      good: `table inet ${table} leads it to ${goal}`,
      bad: `${lack}: somebody took it away`,
      hint: "tiffin system check --repair",
    },
    {
      isGood: forwards,
      good: "the host forwards packets (ip_forward)",
      bad: "the host forwards no packets (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)",
      hint: "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
    },
  ];
}

/** undefined: the chain lets it pass, and there is nothing to say about it. */
function walkStep(walk: TracedWalk): TraceStep | undefined {
  const place = `table ${walk.family} ${walk.table}, ${walk.hook} chain ${walk.chain}`;
  if (walk.outcome === "passes") {
    const isWorth = walk.hook === "input" && walk.by !== "";
    return isWorth ? { state: "ok", text: `${place}: ${walk.by} lets it in` } : undefined;
  }
  const isCertain = walk.outcome === "drops";
  const what =
    walk.packets === "following"
      ? " what follows the first packet"
      : walk.hook === "forward" || walk.hook === "input"
        ? " what comes from other hosts and networks"
        : " it";
  const text = `${place}: ${walk.by} ${isCertain ? "drops" : "may drop"}${what}`;
  return { state: isCertain ? "bad" : "unsure", text };
}

function hintFor(walk: TracedWalk, { port, protocol }: TraceFacts): string {
  const { family, table, chain, hook, packets } = walk;
  const condition =
    packets === "following"
      ? "ct state established,related"
      : hook === "input" || hook === "prerouting"
        ? `${protocol} dport ${port}`
        : hook === "output"
          ? "oif lo"
          : "ct status dnat";
  return `Let it through there, before that: nft insert rule ${family} ${table} ${chain} ${condition} accept`;
}
