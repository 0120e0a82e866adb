import { ipVersion } from "../base/ip-address.ts";
import { type AnswerRecord, encodeName, type Question, TYPE } from "./dns-message.ts";
import { addressBytes, addressOf, formatAddress, parseAddress } from "./subnet.ts";

/** One that has names in a network: a container there. Addresses are "" where it has none of the family. */
export interface NamedMember {
  /** The first one is what its addresses are called. */
  readonly names: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
}

/** One network of a container that asks, with all who are in it. */
export interface NamedNetwork {
  readonly name: string;
  readonly members: readonly NamedMember[];
}

/** What a container may learn: the names in its networks, and those of the host. */
export interface NameTable {
  readonly networks: readonly NamedNetwork[];
  /** Names of its own (`--link`): by each, the name that is meant. Lower case. */
  readonly links: ReadonlyMap<string, string>;
  /** The host's addresses as the container reaches it; "" for none. */
  readonly host: { readonly ipv4: string; readonly ipv6: string };
}

/** They always lead to the host. */
export const HOST_NAMES: readonly string[] = ["host.docker.internal", "host.tiffin.internal"];

/** As docker's: a container's address may change at each of its starts. */
const TTL_SECONDS = 600;
const REVERSE_IPV4 = /^((?:\d{1,3}\.){4})in-addr\.arpa$/;
const REVERSE_IPV6 = /^((?:[\da-f]\.){32})ip6\.arpa$/;

/**
 * The records that answer a question from a container; [] when the name is here but has no record of the type, undefined when it is
 * somebody else's to know. Several addresses come in an order that `turn` rotates.
 */
export function answerName(
  question: Question,
  table: NameTable,
  turn = 0,
): AnswerRecord[] | undefined {
  const name = question.name.toLowerCase();
  if (name.endsWith(".arpa")) return answerReverse(question.type, name, table);
  const found = HOST_NAMES.includes(name) ? [table.host] : membersNamed(name, table);
  if (found.length === 0) return undefined;
  const wants = (type: number): boolean => question.type === type || question.type === TYPE.ANY;
  return [
    ...(wants(TYPE.A)
      ? addresses(
          TYPE.A,
          found.map(({ ipv4 }) => ipv4),
          turn,
        )
      : []),
    ...(wants(TYPE.AAAA)
      ? addresses(
          TYPE.AAAA,
          found.map(({ ipv6 }) => ipv6),
          turn,
        )
      : []),
  ];
}

/** All members with a name, or with `NAME.NETWORK`, in the networks of who asks. */
function membersNamed(asked: string, { networks, links }: NameTable): NamedMember[] {
  const name = links.get(asked) ?? asked;
  return networks.flatMap((network) => {
    const suffix = `.${network.name.toLowerCase()}`;
    const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
    return network.members.filter(({ names }) =>
      names.some((one) => isSame(one, name) || isSame(one, short)),
    );
  });
}

function isSame(name: string, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower;
}

function addresses(type: number, all: readonly string[], turn: number): AnswerRecord[] {
  const unique = [...new Set(all)].filter((address) => address !== "");
  const first = unique.length === 0 ? 0 : turn % unique.length;
  return [...unique.slice(first), ...unique.slice(0, first)].map((address) => ({
    type,
    ttl: TTL_SECONDS,
    data: addressBytes(parseAddress(address)),
  }));
}

function answerReverse(type: number, name: string, table: NameTable): AnswerRecord[] | undefined {
  const address = reversedAddress(name);
  if (address === "") return undefined;
  for (const { name: network, members } of table.networks) {
    const member = members.find(({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address);
    const [first] = member?.names ?? [];
    if (first === undefined) continue;
    const data = encodeName(`${first}.${network}`);
    return type === TYPE.PTR || type === TYPE.ANY
      ? [{ type: TYPE.PTR, ttl: TTL_SECONDS, data }]
      : [];
  }
  return undefined;
}

/** The address of a name below in-addr.arpa or ip6.arpa (RFC 1035 section 3.5, RFC 3596 section 2.5); "" when it is none. */
function reversedAddress(name: string): string {
  const four = REVERSE_IPV4.exec(name)?.[1];
  if (four !== undefined) {
    const address = four.slice(0, -1).split(".").toReversed().join(".");
    return ipVersion(address) === 4 ? address : "";
  }
  const six = REVERSE_IPV6.exec(name)?.[1];
  if (six === undefined) return "";
  return formatAddress(
    addressOf(Buffer.from(six.replaceAll(".", "").split("").toReversed().join(""), "hex")),
  );
}
