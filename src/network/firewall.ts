import {
  type BaseChain,
  type Change,
  type Element,
  addElements,
  concatenate,
  deleteElements,
  deleteTable,
  FIELD,
  newBaseChain,
  newSet,
  inFamily,
  newTable,
  type SetDefinition,
} from "../kernel/nftables.ts";
import {
  compare,
  CT_STATE,
  CT_STATUS_DNAT,
  ctHas,
  destination,
  type Expression,
  fromMap,
  inSet,
  masquerade,
  meta,
  payload,
  toThisHost,
  verdict,
} from "../kernel/nft-expression.ts";
import {
  OUTPUT_RAW,
  planAdmission,
  planNoAdmission,
  PUBLISHED,
  publishedElement,
} from "./admission.ts";
import type { FirewallPolicy } from "./firewall-policy.ts";
import type { Network } from "./network.ts";
import { addressBytes, lastAddress, parseSubnet, type Subnet } from "./subnet.ts";

/**
 * The engine's nf_tables table, of family inet: rules that are made once, over sets and maps that hold what changes. A network is
 * a few elements, a published port is one (or one for a range). Nothing outside of the table is touched.
 */

const FAMILY = {
  4: { number: 2, source: 12, destination: 16, length: 4, field: FIELD.ipv4 },
  6: { number: 10, source: 8, destination: 24, length: 16, field: FIELD.ipv6 },
} as const;
const FAMILIES = [4, 6] as const;
type Version = (typeof FAMILIES)[number];

/** Where the chains stand among others' (nft(8), "standard priority names"). */
const PRIORITY = { raw: -300, dstnat: -100, filter: 0, srcnat: 100 };

const SETS: readonly SetDefinition[] = [
  { name: "bridges", key: [FIELD.interface], ranges: false },
  { name: "internal", key: [FIELD.interface], ranges: false },
  { name: "together", key: [FIELD.interface, FIELD.interface], ranges: false },
  ...FAMILIES.flatMap((version): SetDefinition[] => {
    const address = FAMILY[version].field;
    const target = [FIELD.protocol, address, FIELD.port];
    return [
      { name: `hairpin${version}`, key: [address, address], ranges: true },
      { name: `masquerade${version}`, key: [address, address], ranges: true },
      // Hashed: made, found and taken away in one step, however many there are.
      {
        name: `open${version}`,
        key: [FIELD.protocol, FIELD.port],
        ranges: false,
        value: [address, FIELD.port],
      },
      { name: `ports${version}`, key: target, ranges: false, value: [address, FIELD.port] },
      { name: `ranges${version}`, key: target, ranges: true, value: [address] },
    ];
  }),
];

function isFamily(version: Version): Expression[] {
  return [meta("nfproto"), compare("is", Uint8Array.of(FAMILY[version].number))];
}

const LOOPBACK_NETWORK = Uint8Array.of(127);

function fromOrToLoopback(side: "source" | "destination"): Expression[] {
  const offset = FAMILY[4][side];
  return [
    ...isFamily(4),
    payload("network", { offset, length: 1 }),
    compare("is", LOOPBACK_NETWORK),
  ];
}

/** What comes from ::1 is not routed: a forwarder of the engine's takes it (loopback-forwarder.ts). */
function exceptLoopback6(): Expression[] {
  const { destination: offset, length } = FAMILY[6];
  const loopback = Buffer.alloc(length);
  loopback[length - 1] = 1;
  return [payload("network", { offset, length }), compare("differs", loopback)];
}

function sourceAndDestination(version: Version): Expression[] {
  const { source, destination: to, length } = FAMILY[version];
  return [
    payload("network", { offset: source, length }),
    payload("network", { offset: to, length, word: length / 4 }),
  ];
}

/** Leads what comes for a published port to its container. */
function toContainers(): Expression[][] {
  return FAMILIES.flatMap((version) => {
    const { number, destination: to, length } = FAMILY[version];
    // What is cheap to tell comes first: each new connection goes through all of them.
    const forUs = [
      ...isFamily(version),
      ...(version === 6 ? exceptLoopback6() : []),
      ...toThisHost(),
      meta("l4proto"),
    ];
    const port = (word: number): Expression => payload("transport", { offset: 2, length: 2, word });
    const target = [
      ...forUs,
      payload("network", { offset: to, length, word: 1 }),
      port(1 + length / 4),
    ];
    return [
      [...forUs, port(1), fromMap(`open${version}`), destination(number, length / 4)],
      [...target, fromMap(`ports${version}`), destination(number, length / 4)],
      [...target, fromMap(`ranges${version}`), destination(number, undefined)],
    ];
  });
}

const CHAINS: readonly BaseChain[] = [
  {
    // The host's loopback can be routed on the bridges, for its own way to published ports: containers may not use it.
    name: "raw",
    type: "filter",
    hook: "prerouting",
    priority: PRIORITY.raw,
    rules: [
      [meta("iifname"), inSet("bridges"), ...fromOrToLoopback("destination"), verdict("drop")],
    ],
  },
  {
    name: "prerouting",
    type: "nat",
    hook: "prerouting",
    priority: PRIORITY.dstnat,
    rules: toContainers(),
  },
  {
    name: "output",
    type: "nat",
    hook: "output",
    priority: PRIORITY.dstnat,
    rules: toContainers(),
  },
  {
    name: "forward",
    type: "filter",
    hook: "forward",
    priority: PRIORITY.filter,
    rules: [
      [...ctHas("state", CT_STATE.established | CT_STATE.related), verdict("accept")],
      [...ctHas("status", CT_STATUS_DNAT), verdict("accept")],
      [meta("iifname"), meta("oifname", 4), inSet("together"), verdict("accept")],
      [meta("oifname"), inSet("bridges"), verdict("drop")],
      [meta("iifname"), inSet("internal"), verdict("drop")],
    ],
  },
  {
    name: "postrouting",
    type: "nat",
    hook: "postrouting",
    priority: PRIORITY.srcnat,
    rules: [
      [meta("oifname"), inSet("bridges"), ...fromOrToLoopback("source"), masquerade()],
      ...FAMILIES.map((version) => [
        ...ctHas("status", CT_STATUS_DNAT),
        ...isFamily(version),
        ...sourceAndDestination(version),
        inSet(`hairpin${version}`),
        masquerade(),
      ]),
      [meta("oifname"), inSet("bridges"), verdict("return")],
      ...FAMILIES.map((version) => [
        ...isFamily(version),
        ...sourceAndDestination(version),
        inSet(`masquerade${version}`),
        masquerade(),
      ]),
    ],
  },
];

/** The policies that there is a table for. */
export type TablePolicy = Exclude<FirewallPolicy, "none">;

/** Where nothing is led before the host's input rules have seen it, there is no chain for it. */
function chainsOf(policy: TablePolicy): readonly BaseChain[] {
  if (policy === "docker") return CHAINS;
  return [...CHAINS.filter(({ name }) => name !== "prerouting"), OUTPUT_RAW];
}

/** Makes the table anew, empty; what was in one of its name goes. */
export function planFirewall(policy: TablePolicy): Change[] {
  return [
    newTable,
    deleteTable,
    newTable,
    ...SETS.map((set, index) => newSet(set, index + 1)),
    ...chainsOf(policy).flatMap(newBaseChain),
    ...(policy === "host" ? planAdmission() : planNoAdmission()),
  ];
}

export function planNoFirewall(): Change[] {
  return [newTable, deleteTable, ...planNoAdmission()];
}

/** What the table of a policy has: its sets, and its chains with the number of their rules. */
export function firewallShape(policy: TablePolicy): {
  sets: readonly string[];
  chains: ReadonlyMap<string, number>;
} {
  return {
    sets: SETS.map(({ name }) => name),
    chains: new Map(chainsOf(policy).map(({ name, rules }) => [name, rules.length])),
  };
}

/** Elements by the set that they are in. */
export type Elements = ReadonlyMap<string, readonly Element[]>;

export function planAdded(elements: Elements, policy: TablePolicy): Change[] {
  return [...elements].flatMap(([set, list]) => [
    ...addElements(set, list),
    ...planPublished(set, { policy, list, change: addElements }),
  ]);
}

export function planDeleted(elements: Elements, policy: TablePolicy): Change[] {
  return [...elements].flatMap(([set, list]) => [
    ...deleteElements(set, list),
    ...planPublished(set, { policy, list, change: deleteElements }),
  ]);
}

/** Changes of a set of ports are changes of `published` too. */
function planPublished(
  set: string,
  {
    policy,
    list,
    change,
  }: { policy: TablePolicy; list: readonly Element[]; change: typeof addElements },
): Change[] {
  if (policy !== "host") return [];
  const published = list.flatMap((element) => publishedElement(set, element) ?? []);
  const [first] = published;
  if (!first) return [];
  return inFamily(
    first.family,
    change(
      PUBLISHED,
      published.map(({ element }) => element),
    ),
  );
}

/** What is to be put in and taken out to make elements of others. */
export function difference(
  before: readonly Elements[],
  after: Elements,
): { added: Elements; deleted: Elements } {
  if (before.length === 0) return { added: after, deleted: new Map() };
  const had = new Set(before.flatMap(names));
  const has = new Set(names(after));
  const deleted = new Map<string, Element[]>();
  for (const [set, list] of before.flatMap((elements) => [...elements])) {
    deleted.set(set, [
      ...(deleted.get(set) ?? []),
      ...list.filter((element) => !has.has(elementName(set, element))),
    ]);
  }
  const added = [...after].map(
    ([set, list]) => [set, list.filter((element) => !had.has(elementName(set, element)))] as const,
  );
  return { added: new Map(added), deleted };
}

function names(elements: Elements): string[] {
  return [...elements].flatMap(([set, list]) => list.map((element) => elementName(set, element)));
}

/** The same for elements that are the same. */
export function elementName(set: string, { key, keyEnd, value }: Element): string {
  const hex = [key, keyEnd, value].map((bytes) => Buffer.from(bytes ?? []).toString("hex"));
  return [set, ...hex].join(" ");
}

const INTERFACE_NAME_SIZE = 16;

function interfaceName(name: string): Uint8Array {
  const bytes = Buffer.alloc(INTERFACE_NAME_SIZE);
  bytes.write(name);
  return bytes;
}

/** What the table knows of a network on a bridge. */
export function networkElements(network: Network, bridge: string): Elements {
  const { options } = network;
  const name = interfaceName(bridge);
  const elements = new Map<string, Element[]>([["bridges", [{ key: name }]]]);
  if (options["com.docker.network.bridge.enable_icc"] !== "false") {
    elements.set("together", [{ key: concatenate(name, name) }]);
  }
  if (network.internal) elements.set("internal", [{ key: name }]);
  const isMasked =
    !network.internal && options["com.docker.network.bridge.enable_ip_masquerade"] !== "false";
  for (const { subnet: text } of network.pools) {
    const subnet = parseSubnet(text);
    const everywhere: Subnet = { version: subnet.version, base: 0n, prefixLength: 0 };
    elements.set(`hairpin${subnet.version}`, [pair(subnet, subnet)]);
    if (isMasked) elements.set(`masquerade${subnet.version}`, [pair(subnet, everywhere)]);
  }
  return elements;
}

function pair(from: Subnet, to: Subnet): Element {
  const first = ({ version, base }: Subnet): Uint8Array => addressBytes({ version, value: base });
  const last = (subnet: Subnet): Uint8Array => addressBytes(lastAddress(subnet));
  return { key: concatenate(first(from), first(to)), keyEnd: concatenate(last(from), last(to)) };
}
