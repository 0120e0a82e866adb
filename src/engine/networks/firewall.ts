import { TiffinError } from "../../base/error.ts";
import { NetlinkSocket } from "../../kernel/netlink-socket.ts";
import { applyChanges, type Change, hasTable, NETLINK_NETFILTER } from "../../kernel/nftables.ts";
import { errnoOf } from "../../kernel/syscall.ts";
import {
  difference,
  type Elements,
  planAdded,
  planDeleted,
  planFirewall,
  planNoFirewall,
} from "../../network/firewall.ts";

/** The engine's table in the kernel: there from when the first network needs it. */
export class Firewall {
  readonly table: string;
  /** What should be in it, by who needs it: networks and containers by their IDs. */
  private readonly wanted = new Map<string, Elements[]>();
  private socket: NetlinkSocket | undefined;
  private isMade = false;

  constructor(table: string) {
    this.table = table;
  }

  /** Puts an owner's elements in. A table that somebody took away is made again, with all that belongs there. */
  add(owner: string, elements: Elements): void {
    if (this.isMade && elements.size === 0) return;
    this.wanted.set(owner, [...(this.wanted.get(owner) ?? []), elements]);
    try {
      if (this.isMade && this.tryChange(planAdded(elements))) return;
      this.makeAgain();
    } catch (error) {
      this.wanted.delete(owner);
      throw error;
    }
  }

  /** Makes an owner's elements these: in one batch, in which those that stay are not touched. Nothing changes when it fails. */
  replace(owner: string, elements: Elements): void {
    const before = this.wanted.get(owner) ?? [];
    const { added, deleted } = difference(before, elements);
    this.wanted.set(owner, [elements]);
    try {
      const changes = [...planDeleted(deleted), ...planAdded(added)];
      if (this.isMade && this.tryChange(changes)) return;
      this.makeAgain();
    } catch (error) {
      if (before.length === 0) this.wanted.delete(owner);
      else this.wanted.set(owner, before);
      throw error;
    }
  }

  has(owner: string): boolean {
    return this.wanted.has(owner);
  }

  /** What an owner will need once the table is made. */
  expect(owner: string, elements: Elements): void {
    this.wanted.set(owner, [...(this.wanted.get(owner) ?? []), elements]);
  }

  /** Takes an owner's elements out; gone already is fine. */
  remove(owner: string): void {
    const elements = this.wanted.get(owner);
    this.wanted.delete(owner);
    if (!elements || !this.isMade) return;
    if (!this.tryChange(elements.flatMap(planDeleted))) this.makeAgain();
  }

  /** Makes the table with all that belongs there: one batch, in which no packet sees less than before. */
  makeAgain(): void {
    const elements = [...this.wanted.values()].flat();
    this.change([...planFirewall(), ...elements.flatMap(planAdded)]);
    this.isMade = true;
  }

  /** Takes the table away, if there is one. */
  discard(): void {
    this.wanted.clear();
    this.change(planNoFirewall());
    this.isMade = false;
  }

  /** Whether the kernel has the table. */
  isThere(): boolean {
    this.socket ??= NetlinkSocket.open(NETLINK_NETFILTER);
    return hasTable(this.socket, this.table);
  }

  close(): void {
    this.socket?.close();
    this.socket = undefined;
  }

  /** False: something that it builds on is not there. */
  private tryChange(changes: readonly Change[]): boolean {
    try {
      this.change(changes);
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  private change(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    try {
      this.socket ??= NetlinkSocket.open(NETLINK_NETFILTER);
      applyChanges(this.socket, this.table, changes, `set the firewall's table ${this.table}`);
    } catch (error) {
      throw explained(error);
    }
  }
}

function explained(error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === "EPERM" || errno === "EACCES") {
    return new TiffinError(
      "permission-denied",
      "Cannot make firewall rules: the engine lacks CAP_NET_ADMIN",
      { cause: error, hint: "Run the engine as root, or containers with --network none or host" },
    );
  }
  if (errno === "EPROTONOSUPPORT" || errno === "EOPNOTSUPP") {
    return new TiffinError(
      "unavailable",
      "Cannot make firewall rules: the kernel lacks nf_tables (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT)",
      { cause: error, hint: "Load the module nf_tables, or use --network none or host" },
    );
  }
  return error;
}
