import { ipVersion } from "../base/ip-address.ts";
import { invalidArgument } from "../base/error.ts";

/** An address as a number, so that subnets can be compared and counted through. */
export interface Address {
  readonly version: 4 | 6;
  readonly value: bigint;
}

export interface Subnet {
  readonly version: 4 | 6;
  /** The first address: all bits behind the prefix are 0. */
  readonly base: bigint;
  readonly prefixLength: number;
}

export function bitsOf(version: 4 | 6): number {
  return version === 4 ? 32 : 128;
}

/** @throws invalid-argument */
export function parseAddress(text: string): Address {
  const version = ipVersion(text);
  if (version === 4) {
    const value = text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
    return { version, value };
  }
  if (version !== 6 || text.includes("%")) throw invalidArgument(`invalid address ${text}`);
  return { version, value: parseIpv6(text) };
}

function parseIpv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const { value } = parseAddress(dotted[2] ?? "");
    return parseIpv6(
      `${dotted[1]}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`,
    );
  }
  const [head = "", tail] = text.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  const all = tail === undefined ? first : [...first, ...zeros, ...last];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** `10.0.0.1`; IPv6 as RFC 5952 wants it. */
export function formatAddress({ version, value }: Address): string {
  if (version === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  // The longest run of at least two zeros is left out, the first of several alike.
  const runs = [...groups.join(":").matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  const text = groups.join(":");
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}

/** Network order. */
export function addressBytes({ version, value }: Address): Uint8Array {
  return Buffer.from(value.toString(16).padStart(bitsOf(version) / 4, "0"), "hex");
}

export function addressOf(bytes: Uint8Array): Address {
  const version = bytes.length === 4 ? 4 : 6;
  return { version, value: BigInt(`0x${Buffer.from(bytes).toString("hex")}`) };
}

/** `10.0.0.7/24`: the subnet, whatever address of it stands there. @throws invalid-argument */
export function parseSubnet(text: string): Subnet {
  const slash = text.lastIndexOf("/");
  const length = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(length) || ipVersion(text.slice(0, slash)) === 0) {
    throw invalidArgument(`invalid CIDR address: ${text}`);
  }
  const { version, value } = parseAddress(text.slice(0, slash));
  const prefixLength = Number(length);
  if (prefixLength > bitsOf(version)) throw invalidArgument(`invalid CIDR address: ${text}`);
  return subnetAround({ version, value }, prefixLength);
}

export function subnetAround({ version, value }: Address, prefixLength: number): Subnet {
  const host = BigInt(bitsOf(version) - prefixLength);
  return { version, base: (value >> host) << host, prefixLength };
}

export function formatSubnet({ version, base, prefixLength }: Subnet): string {
  return `${formatAddress({ version, value: base })}/${prefixLength}`;
}

/** How many addresses it has. */
export function subnetSize({ version, prefixLength }: Subnet): bigint {
  return 1n << BigInt(bitsOf(version) - prefixLength);
}

export function lastAddress(subnet: Subnet): Address {
  return { version: subnet.version, value: subnet.base + subnetSize(subnet) - 1n };
}

export function contains(subnet: Subnet, { version, value }: Address): boolean {
  return (
    version === subnet.version && value >= subnet.base && value < subnet.base + subnetSize(subnet)
  );
}

export function overlap(one: Subnet, other: Subnet): boolean {
  const [wide, narrow] = one.prefixLength <= other.prefixLength ? [one, other] : [other, one];
  return contains(wide, { version: narrow.version, value: narrow.base });
}
