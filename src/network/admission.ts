import {
  type BaseChain,
  type Change,
  concatenate,
  deleteTable,
  type Element,
  FIELD,
  inFamily,
  newBaseChain,
  newSet,
  newTable,
} from "../kernel/nftables.ts";
import {
  compare,
  CT_STATE,
  ctHas,
  duplicate,
  inSet,
  meta,
  notFromThisHost,
  payload,
  toThisHost,
  trackAgain,
  verdict,
} from "../kernel/nft-expression.ts";

/**
 * Policy `host`: the first packet of a connection to a published port goes to the host itself, by all of its input rules. What they
 * let through is sent on its way once more, as a packet of the host's own: its output chain leads it to the container. The
 * connection is then like any other that was led there, and keeps the client's address (docs/decisions/0012).
 *
 * Copying a packet is an expression of the families ip and ip6 alone: a table of the engine's name in each.
 */

/** After all of the host's chains, and before the connection would be taken for one with the host (NF_IP_PRI_CONNTRACK_CONFIRM). */
const LAST = 2 ** 31 - 2;
const RAW = -300;
/** The loopback has it in every network namespace. */
const LOOPBACK_INDEX = 1;
const LOOPBACK_NAME = Buffer.from("lo\0");
const LOOPBACK = { 4: Uint8Array.of(127, 0, 0, 1), 6: loopback6() } as const;
const FAMILY = { 4: "ip", 6: "ip6" } as const;
const VERSIONS = [4, 6] as const;

/** Keys of published ports, in the table of its family. */
export const PUBLISHED = "published";

function loopback6(): Uint8Array {
  const address = new Uint8Array(16);
  address[15] = 1;
  return address;
}

function lastOfInput(version: 4 | 6): BaseChain {
  const [offset, length] = version === 4 ? [16, 4] : [24, 16];
  return {
    name: "input",
    type: "filter",
    hook: "input",
    priority: LAST,
    rules: [
      [
        // By the loopback comes what the host's own output chain has led, or would not: copies too, were there nothing to lead them.
        meta("iifname"),
        compare("differs", LOOPBACK_NAME),
        ...toThisHost(),
        meta("l4proto"),
        payload("network", { offset, length, word: 1 }),
        payload("transport", { offset: 2, length: 2, word: 1 + length / 4 }),
        inSet(PUBLISHED),
        ...duplicate(LOOPBACK[version], LOOPBACK_INDEX),
        verdict("drop"),
      ],
    ],
  };
}

/** The copies are not tracked: nothing would lead them. */
export const OUTPUT_RAW: BaseChain = {
  name: "output-raw",
  type: "filter",
  hook: "output",
  priority: RAW,
  rules: [
    [
      meta("oifname"),
      compare("is", LOOPBACK_NAME),
      ...ctHas("state", CT_STATE.untracked),
      ...notFromThisHost(),
      ...toThisHost(),
      ...trackAgain(),
    ],
  ],
};

/** The tables of the two families; those that were there go. */
export function planAdmission(): Change[] {
  return VERSIONS.flatMap((version) => {
    const address = version === 4 ? FIELD.ipv4 : FIELD.ipv6;
    const set = { name: PUBLISHED, key: [FIELD.protocol, address, FIELD.port], ranges: true };
    return inFamily(FAMILY[version], [
      newTable,
      deleteTable,
      newTable,
      newSet(set, 1),
      ...newBaseChain(lastOfInput(version)),
    ]);
  });
}

export function planNoAdmission(): Change[] {
  return VERSIONS.flatMap((version) => inFamily(FAMILY[version], [newTable, deleteTable]));
}

/**
 * What an element of the engine's table is in the table of its family: there all keys have an address, and are ranges. undefined: the
 * set does not hold ports.
 */
export function publishedElement(
  set: string,
  { key, keyEnd = key }: Element,
): { family: "ip" | "ip6"; element: Element } | undefined {
  const [, kind, version] = /^(open|ports|ranges)([46])$/.exec(set) ?? [];
  if (kind === undefined) return undefined;
  const family = version === "4" ? "ip" : "ip6";
  if (kind !== "open") return { family, element: { key, keyEnd } };
  const length = version === "4" ? 4 : 16;
  const around = (byte: number): Uint8Array =>
    concatenate(
      key.subarray(0, PROTOCOL_SIZE),
      new Uint8Array(length).fill(byte),
      key.subarray(PROTOCOL_SIZE),
    );
  return { family, element: { key: around(0), keyEnd: around(255) } };
}

/** With what pads it. */
const PROTOCOL_SIZE = 4;
