import { TiffinError } from "../base/error.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  lastAddress,
  parseAddress,
  parseSubnet,
  type Address,
  type Subnet,
} from "./subnet.ts";
import type { AddressPool } from "./network.ts";

/** Which addresses of one pool are in use, in memory: those of running containers. */
export class AddressAllocator {
  private readonly subnet: Subnet;
  private readonly range: Subnet;
  private readonly used = new Set<bigint>();
  private readonly reserved: ReadonlySet<bigint>;
  /** One behind the last that was given: an address that was freed rests for as long as possible. */
  private next: bigint;

  constructor(pool: AddressPool) {
    this.subnet = parseSubnet(pool.subnet);
    this.range = pool.range === "" ? this.subnet : parseSubnet(pool.range);
    const reserved = [pool.gateway, ...Object.values(pool.auxiliary)]
      .filter((address) => address !== "")
      .map((address) => parseAddress(address).value);
    // The network's own address, and for IPv4 the one that reaches all.
    reserved.push(this.subnet.base);
    if (this.subnet.version === 4) reserved.push(lastAddress(this.subnet).value);
    this.reserved = new Set(reserved);
    this.next = this.range.base;
  }

  /** @throws resource-exhausted */
  take(): string {
    const first = this.range.base;
    const last = lastAddress(this.range).value;
    // No more than what is in use has to be passed over.
    const tries = BigInt(this.used.size + this.reserved.size + 1);
    for (let index = 0n, at = this.next; index < tries; index++, at++) {
      if (at > last) at = first;
      if (this.used.has(at) || this.reserved.has(at)) continue;
      this.used.add(at);
      this.next = at + 1n;
      return this.text(at);
    }
    throw new TiffinError(
      "resource-exhausted",
      `no available IPv${this.range.version} addresses in the pool ${formatSubnet(this.range)}`,
      { hint: "Stop containers, or make a network with a larger --subnet" },
    );
  }

  /** One that was asked for. @throws invalid-argument; conflict when another has it */
  claim(text: string): string {
    const address = parseAddress(text);
    this.check(address, text);
    if (this.used.has(address.value) || this.reserved.has(address.value)) {
      throw new TiffinError("conflict", "Address already in use", {
        hint: `${text} belongs to the gateway or to another container of the network`,
      });
    }
    this.used.add(address.value);
    return formatAddress(address);
  }

  /** What a container that runs has already. */
  restore(text: string): void {
    this.used.add(parseAddress(text).value);
  }

  free(text: string): void {
    this.used.delete(parseAddress(text).value);
  }

  has(text: string): boolean {
    return contains(this.subnet, parseAddress(text));
  }

  private check(address: Address, text: string): void {
    if (contains(this.subnet, address)) return;
    throw new TiffinError("invalid-argument", `no configured subnet contains IP address ${text}`);
  }

  private text(value: bigint): string {
    return formatAddress({ version: this.subnet.version, value });
  }
}
