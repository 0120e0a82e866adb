import { invalidArgument } from "../base/error.ts";
import type { AddressPool } from "./network.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./subnet.ts";

/** The smallest subnets that have room for a gateway and a container. */
const LONGEST_PREFIX = { 4: 30, 6: 126 } as const;

/**
 * A subnet as a user asked for it, checked and completed: without a gateway its first address is that.
 * @throws invalid-argument: no subnet, or something that lies outside of it
 */
export function completePool(asked: AddressPool): AddressPool {
  const subnet = readSubnet(asked.subnet);
  const { version, base, prefixLength } = subnet;
  if (prefixLength > LONGEST_PREFIX[version]) {
    throw invalidArgument(`invalid subnet ${asked.subnet}: it has no room for a container`);
  }
  const gateway =
    asked.gateway === ""
      ? formatAddress({ version, value: base + 1n })
      : formatAddress(parseAddress(asked.gateway));
  checkInside(subnet, "gateway", gateway);
  for (const [name, address] of Object.entries(asked.auxiliary)) {
    checkInside(subnet, `auxiliary address ${name}`, address);
  }
  let range = "";
  if (asked.range !== "") {
    const part = readSubnet(asked.range);
    if (part.prefixLength < prefixLength) throw outside(subnet, "range of addresses", asked.range);
    checkInside(
      subnet,
      "range of addresses",
      formatAddress({ version: part.version, value: part.base }),
    );
    range = formatSubnet(part);
  }
  return { subnet: formatSubnet(subnet), gateway, range, auxiliary: asked.auxiliary };
}

function readSubnet(text: string): Subnet {
  try {
    return parseSubnet(text);
  } catch {
    throw invalidArgument(`invalid subnet ${text}: invalid CIDR block notation`);
  }
}

function checkInside(subnet: Subnet, what: string, address: string): void {
  if (!contains(subnet, parseAddress(address))) throw outside(subnet, what, address);
}

function outside(subnet: Subnet, what: string, value: string): ReturnType<typeof invalidArgument> {
  return invalidArgument(
    `invalid ${what} ${value}: it is not in the subnet ${formatSubnet(subnet)}`,
  );
}
