import { createHash } from "node:crypto";
import { TiffinError } from "../base/error.ts";
import { overlap, parseSubnet, type Subnet, subnetSize } from "./subnet.ts";

/** Where networks without a subnet of the user's get theirs: private addresses, in pieces of the size given. */
interface Pool {
  readonly range: Subnet;
  readonly prefixLength: number;
}

const POOLS: Readonly<Record<"default" | "user", readonly Pool[]>> = {
  // Some four thousand containers on the network that all have who ask for none.
  default: [
    { range: parseSubnet("172.30.0.0/15"), prefixLength: 20 },
    { range: parseSubnet("10.208.0.0/14"), prefixLength: 20 },
  ],
  user: [
    { range: parseSubnet("10.213.0.0/16"), prefixLength: 24 },
    { range: parseSubnet("10.214.0.0/15"), prefixLength: 24 },
    { range: parseSubnet("192.168.128.0/17"), prefixLength: 24 },
  ],
};

export interface SubnetRequest {
  readonly pool: "default" | "user";
  /** Subnets of other networks, and of the host's routes. */
  readonly taken: readonly Subnet[];
  /** Where to begin to look: engines beside each other begin at different places. */
  readonly seed: number;
}

/** The first free piece of the pools, from the seed's place on. @throws resource-exhausted */
export function chooseSubnet({ pool, taken, seed }: SubnetRequest): Subnet {
  for (const { range, prefixLength } of POOLS[pool]) {
    const piece = subnetSize({ ...range, prefixLength });
    const count = Number(subnetSize(range) / piece);
    for (let index = 0; index < count; index++) {
      const base = range.base + BigInt((index + seed) % count) * piece;
      const subnet: Subnet = { version: 4, base, prefixLength };
      if (!taken.some((other) => overlap(other, subnet))) return subnet;
    }
  }
  throw new TiffinError(
    "resource-exhausted",
    "all predefined address pools have been fully subnetted",
    { hint: "Remove networks that nobody uses (network prune), or choose one with --subnet" },
  );
}

/** A unique local subnet (RFC 4193): its 40 random bits are the engine's, the 16 behind them the network's. */
export function localIpv6Subnet(engineId: string, networkId: string): Subnet {
  const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
  const text = `fd${hash(`tiffin ${engineId}`).slice(0, 10)}${hash(networkId).slice(0, 4)}`;
  return { version: 6, base: BigInt(`0x${text}`) << 64n, prefixLength: 64 };
}
