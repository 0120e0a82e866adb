import { describe, expect, test } from "bun:test";
import { listeningOf } from "./listening.ts";
import { type PortTrace, type TraceFacts, tracePort } from "./port-trace.ts";

const target: NonNullable<TraceFacts["target"]> = {
  container: "web",
  hostIp: "0.0.0.0",
  address: "172.30.0.2",
  containerPort: 80,
  network: "bridge",
  bridge: "tiffin0",
  hasBridge: true,
  isPaused: false,
  listening: "yes",
};
const facts: TraceFacts = {
  port: 8080,
  protocol: "tcp",
  target,
  stopped: [],
  hostListener: "",
  firewall: { policy: "docker", table: "tiffin", lack: "" },
  forwards: true,
  walks: [],
};
const { target: _, ...nobody } = facts;
const walk = {
  family: "ip",
  table: "filter",
  chain: "FORWARD",
  hook: "forward",
  packets: "first",
} as const;
const input = { ...walk, chain: "INPUT", hook: "input" } as const;
const closed = { ...facts.firewall, policy: "host" } as const;

const cases: [what: string, facts: TraceFacts, verdict: PortTrace["verdict"], reason: string][] = [
  ["all is well", facts, "reached", "it comes to 172.30.0.2:80"],
  [
    "the table was flushed",
    { ...facts, firewall: { ...facts.firewall, lack: "table inet tiffin is gone" } },
    "not reached",
    "table inet tiffin is gone: somebody took it away",
  ],
  [
    "an input rule that drops",
    { ...facts, firewall: closed, walks: [{ ...input, outcome: "drops", by: "policy drop" }] },
    "not reached",
    "table ip filter, input chain INPUT: policy drop drops what comes from other hosts",
  ],
  [
    "an input rule that lets it in",
    {
      ...facts,
      firewall: closed,
      walks: [{ ...input, outcome: "passes", by: "rule 9 of chain x" }],
    },
    "reached",
    "it comes to",
  ],
  [
    "a forward chain that lets nothing follow",
    {
      ...facts,
      firewall: closed,
      walks: [{ ...walk, packets: "following", outcome: "drops", by: "policy drop" }],
    },
    "not reached",
    "policy drop drops what follows the first packet",
  ],
  ["nothing is forwarded", { ...facts, forwards: false }, "not reached", "forwards no packets"],
  [
    "nobody listens",
    { ...facts, target: { ...target, listening: "no" } },
    "not reached",
    "nobody in it listens on port 80/tcp",
  ],
  [
    "a program listens for itself",
    { ...facts, target: { ...target, listening: "loopback" } },
    "not reached",
    "its own loopback alone",
  ],
  ["a pause", { ...facts, target: { ...target, isPaused: true } }, "not reached", "is paused"],
  [
    "another table's policy",
    { ...facts, walks: [{ ...walk, outcome: "drops", by: "policy drop" }] },
    "not reached",
    "table ip filter, forward chain FORWARD: policy drop drops",
  ],
  [
    "a rule that may drop",
    { ...facts, walks: [{ ...walk, outcome: "may drop", by: "rule 7 of chain x" }] },
    "unsure",
    "rule 7 of chain x may drop",
  ],
  [
    "a chain that lets it pass",
    { ...facts, walks: [{ ...walk, outcome: "passes", by: "" }] },
    "reached",
    "it comes to",
  ],
  ["nobody", nobody, "not published", "nobody has port 8080/tcp"],
  [
    "a program of the host",
    { ...nobody, hostListener: "process 7 (sshd)" },
    "not published",
    "is process 7 (sshd)'s",
  ],
];

describe("tracePort()", () => {
  for (const [what, given, verdict, reason] of cases) {
    test(`${what}: ${verdict}`, () => {
      const trace = tracePort(given);
      expect(trace.verdict).toBe(verdict);
      expect(trace.reason).toContain(reason);
      expect(trace.steps.some(({ state }) => state === "bad")).toBe(verdict.startsWith("not"));
    });
  }

  test("the policy, and the rule that lets it in, are named", () => {
    const walks = [{ ...input, outcome: "passes", by: "rule 9 of chain x" }] as const;
    const texts = tracePort({ ...facts, firewall: closed, walks }).steps.map(({ text }) => text);
    expect(texts).toContain("firewall policy host: the host's input rules decide");
    expect(texts).toContain("table ip filter, input chain INPUT: rule 9 of chain x lets it in");
    const dropped = [{ ...input, outcome: "drops", by: "policy drop" }] as const;
    expect(tracePort({ ...facts, firewall: closed, walks: dropped }).hint).toEndWith(
      "nft insert rule ip filter INPUT tcp dport 8080 accept",
    );
  });

  test("a stopped container that would have the port is named", () => {
    expect(tracePort({ ...nobody, stopped: ["old"] }).hint).toBe("tiffin start old");
  });
});

describe("listeningOf()", () => {
  const line = (local: string, state: string): string =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 7`;
  for (const [local, state, result] of [
    ["00000000:0050", "0A", "yes"],
    ["00000000:0051", "0A", "no"],
    ["00000000:0050", "01", "no"],
    ["0100007F:0050", "0A", "loopback"],
    [`${"0".repeat(24)}01000000:0050`, "0A", "loopback"],
    [`${"0".repeat(32)}:0050`, "0A", "yes"],
  ] as const) {
    test(`${local} in state ${state}: ${result}`, () =>
      expect(listeningOf([line(local, state)], "tcp", 80)).toBe(result));
  }
});
