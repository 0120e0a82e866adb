import { TiffinError } from "../../base/error.ts";
import { NetlinkSocket } from "../../kernel/netlink-socket.ts";
import { applyChanges, type Change, NETLINK_NETFILTER } from "../../kernel/nftables.ts";
import { type RulesetAuthor, watchRulesets } from "../../kernel/nft-watch.ts";
import type { Notices } from "../../kernel/notices.ts";
import { errnoOf } from "../../kernel/syscall.ts";
import {
  difference,
  type Elements,
  planAdded,
  planDeleted,
  planFirewall,
  planNoFirewall,
} from "../../network/firewall.ts";
import { firewallLack } from "../../network/firewall-lack.ts";
import type { FirewallPolicy } from "../../network/firewall-policy.ts";

/** The engine's table in the kernel: there from when the first network needs it. With policy `none`, never. */
export class Firewall {
  readonly table: string;
  /** What was asked for. */
  readonly policy: FirewallPolicy;
  /** Why nf_tables is not to be had, in one sentence; "": it is, or was not tried yet. */
  obstacle = "";
  /** What should be in it, by who needs it: networks and containers by their IDs. */
  private readonly wanted = new Map<string, Elements[]>();
  private readonly onObstacle: (error: TiffinError) => void;
  private socket: NetlinkSocket | undefined;
  private isMade = false;

  /** @param onObstacle called once, when it turns out that there is no nf_tables: policy `none` is in force from then on */
  constructor(
    table: string,
    policy: FirewallPolicy,
    onObstacle: (error: TiffinError) => void = () => undefined,
  ) {
    this.table = table;
    this.policy = policy;
    this.onObstacle = onObstacle;
  }

  /** The policy in force. */
  get inForce(): FirewallPolicy {
    return this.obstacle === "" ? this.policy : "none";
  }

  /** Puts an owner's elements in. A table that somebody took away is made again, with all that belongs there. */
  add(owner: string, elements: Elements): void {
    if (this.isMade && elements.size === 0) return;
    this.wanted.set(owner, [...(this.wanted.get(owner) ?? []), elements]);
    try {
      if (this.isMade && this.tryChange((policy) => planAdded(elements, policy))) return;
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
      const isDone =
        this.isMade &&
        this.tryChange((policy) => [...planDeleted(deleted, policy), ...planAdded(added, policy)]);
      if (!isDone) this.makeAgain();
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
    const plan = (policy: "docker" | "host"): Change[] =>
      elements.flatMap((list) => planDeleted(list, policy));
    if (!this.tryChange(plan)) this.makeAgain();
  }

  /** Makes the table with all that belongs there: one batch, in which no packet sees less than before. */
  makeAgain(): void {
    const elements = [...this.wanted.values()].flat();
    this.change((policy) => [
      ...planFirewall(policy),
      ...elements.flatMap((list) => planAdded(list, policy)),
    ]);
    this.isMade = this.inForce !== "none";
  }

  /** Takes the table away, if there is one. */
  discard(): void {
    this.wanted.clear();
    this.isMade = false;
    try {
      this.send(planNoFirewall());
    } catch (error) {
      if (!this.isObstacle(error)) throw error;
    }
  }

  /**
   * What the kernel lacks of the table, in words; "" when it is whole, or is not to be there.
   * @param elements those that are looked for: all, or some
   */
  lack(elements: readonly Elements[] = [...this.wanted.values()].flat()): string {
    const { inForce } = this;
    if (inForce === "none" || !this.isMade) return "";
    return firewallLack(this.open(), { table: this.table, policy: inForce, elements });
  }

  /** Calls back when somebody else changes rules on the host: with who it was, when it was in tables of this name. */
  watch(callback: (author: RulesetAuthor | undefined) => void): Notices {
    return watchRulesets({ exceptPort: this.open().port(), table: this.table }, callback);
  }

  close(): void {
    this.socket?.close();
    this.socket = undefined;
  }

  /** False: something that it builds on is not there. */
  private tryChange(plan: (policy: "docker" | "host") => Change[]): boolean {
    try {
      this.change(plan);
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  private change(plan: (policy: "docker" | "host") => Change[]): void {
    const { inForce } = this;
    if (inForce === "none") return;
    const changes = plan(inForce);
    if (changes.length === 0) return;
    try {
      this.send(changes);
    } catch (error) {
      if (!this.isObstacle(error)) throw error;
    }
  }

  private send(changes: readonly Change[]): void {
    applyChanges(this.open(), this.table, changes, `set the firewall's table ${this.table}`);
  }

  private open(): NetlinkSocket {
    return (this.socket ??= NetlinkSocket.open(NETLINK_NETFILTER));
  }

  /** True: there is no nf_tables for the engine, which is told once. A table that was made before shows that there is. */
  private isObstacle(error: unknown): boolean {
    const found = this.isMade ? undefined : explained(error);
    if (!found) return false;
    const isNew = this.obstacle === "" && this.policy !== "none";
    this.obstacle = found.message;
    if (isNew) this.onObstacle(found);
    return true;
  }
}

const NOT_ALLOWED = new Set(["EPERM", "EACCES"]);
/** Of the socket, of the subsystem, of the family, and of a kind of expression or chain (a kernel without NFT_NAT). */
const NOT_THERE = new Set(["EPROTONOSUPPORT", "EOPNOTSUPP", "EAFNOSUPPORT", "ENOENT", "ENOSYS"]);

function explained(error: unknown): TiffinError | undefined {
  const errno = errnoOf(error) ?? "";
  if (NOT_ALLOWED.has(errno)) {
    return new TiffinError(
      "permission-denied",
      `Cannot make firewall rules: the engine may not (CAP_NET_ADMIN, ${errno})`,
      { cause: error, hint: "Run the engine as root" },
    );
  }
  if (NOT_THERE.has(errno)) {
    return new TiffinError(
      "unavailable",
      `Cannot make firewall rules: the kernel lacks nf_tables, or a part of it (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT; ${errno})`,
      { cause: error, hint: "Load the modules nf_tables, nft_chain_nat, nft_nat and nft_masq" },
    );
  }
  return undefined;
}
