import { randomBytes } from "node:crypto";
import { messageOf } from "../base/error.ts";
import { DEFAULT_DEVICE_RULES } from "../cgroups/devices.ts";
import { CLONE } from "../kernel/flags.ts";
import type { RestOfPlan } from "../launch/compile.ts";
import type { Launched, ReadyLaunch } from "../launch/launcher.ts";
import { planReadyLaunch } from "../launch/ready-plan.ts";
import { allocateRange } from "../namespaces/id-range.ts";
import type { NamespacePlan } from "../namespaces/namespaces.ts";
import { type PlannedLink, planInterfaces, planLinks } from "../network/link-operations.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { freeEndpoint } from "./networks/make-endpoint.ts";
import { isOnBridge, makeReadyLink, wantsPlainLink } from "./networks/ready-link.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import type { ContainerSpec } from "./types.ts";

/** A container's beginning that nobody has asked for yet: its ID, its ids, its groups and namespaces, two processes that wait. */
interface ReadyContainer {
  readonly id: string;
  readonly idBase: number;
  readonly launch: ReadyLaunch;
  /** Its interface on the default bridge, until a start has taken it over. */
  link: PlannedLink | undefined;
}

/** What a container is to have from the beginning: an interface on the default bridge, or a loopback alone. */
type Kind = "bridge" | "loopback";

/** The namespaces of a container that nothing else was asked for. */
export const READY_NAMESPACES: bigint =
  CLONE.NEWNS | CLONE.NEWUSER | CLONE.NEWPID | CLONE.NEWIPC | CLONE.NEWUTS | CLONE.NEWNET;

/** New ones are made when the one that was taken has begun its work: there are never many processors. */
const REFILL_AFTER_MS = 30;
/** After a failure: what is in the way (too many namespaces, no memory) seldom goes at once. */
const RETRY_AFTER_MS = 30_000;
/** How long one is kept for a container that was created and not started. */
const KEEP_CLAIMED_MS = 30_000;

/**
 * A few beginnings, each for the next container that is created. They end with the engine and leave nothing but empty cgroups,
 * which the next engine removes as it does those of starts that were cut off (recover.ts).
 */
export class ReadyContainers {
  private readonly size: number;
  private readonly waiting: ReadyContainer[] = [];
  private readonly claimed = new Map<string, { ready: ReadyContainer; timer: NodeJS.Timeout }>();
  private timer: NodeJS.Timeout | undefined;
  private context: EngineContext | undefined;
  /** Who asks for one asks for the same again, most likely. */
  private wanted: Kind = "loopback";

  /** @param size how many wait; 0: none is ever made */
  constructor(size: number) {
    this.size = size;
  }

  /** Makes the first soon. */
  begin(context: EngineContext): void {
    this.context = context;
    this.refill(REFILL_AFTER_MS);
  }

  /** Those that are accounted for: the IDs in whose groups there are processes of no container's. */
  get ids(): string[] {
    return this.all().map(({ id }) => id);
  }

  get idBases(): number[] {
    return this.waiting.map(({ idBase }) => idBase);
  }

  /** Names of the host's ends of their interfaces. */
  get hostInterfaces(): string[] {
    return this.all().flatMap(({ link }) => link?.endpoint.hostInterface ?? []);
  }

  /** One for a container that is being created; it is dropped when it is not taken soon. */
  claim(spec: ContainerSpec): { readonly id: string; readonly idBase: number } | undefined {
    this.removeEnded();
    this.refill(REFILL_AFTER_MS);
    this.wanted = wantsPlainLink(spec) ? "bridge" : "loopback";
    const ready =
      this.waiting.find((one) => kindOf(one) === this.wanted) ??
      this.waiting.find((one) => kindOf(one) === "loopback");
    if (ready === undefined) return undefined;
    this.waiting.splice(this.waiting.indexOf(ready), 1);
    this.keep(ready);
    return ready;
  }

  /**
   * Begins a container whose start needs to know its first process before its program runs, unless it has begun. Its lock is
   * held. @throws when it cannot be started
   */
  beginFor({ id, idBase }: StoredContainer): void {
    if (!this.context || this.claimed.has(id)) return;
    this.keep(prepareContainer(this.context, { id, idBase, kind: "loopback" }));
  }

  /** Pid of the first process of one that was claimed; undefined when there is none, or it has ended. */
  async pidOf(id: string): Promise<number | undefined> {
    return await this.claimed.get(id)?.ready.launch.begun.catch(() => undefined);
  }

  /**
   * The interface that was made ahead for a container: its addresses are the caller's from now on. What was begun with one that
   * is of no use to the container as it is now is ended. Its lock is held.
   */
  async takeLink({ id, spec }: StoredContainer): Promise<PlannedLink | undefined> {
    const ready = this.claimed.get(id)?.ready;
    if (!this.context || !ready?.link) return undefined;
    if (!wantsPlainLink(spec) || !isOnBridge(this.context, ready.link)) {
      await this.release(id);
      return undefined;
    }
    const { link } = ready;
    ready.link = undefined;
    return link;
  }

  /** Starts a container by what was claimed for it; undefined when there is nothing, or it cannot go on. Its lock is held. */
  async goOn(id: string, rest: () => RestOfPlan): Promise<Launched | undefined> {
    const found = this.claimed.get(id);
    if (!found) return undefined;
    this.claimed.delete(id);
    clearTimeout(found.timer);
    const going = found.ready.launch.goOn(rest());
    if (going === undefined) await this.context?.cgroups.end(id);
    return going;
  }

  /** Ends one that was claimed; what is not there is fine. */
  async drop(id: string): Promise<void> {
    await this.context?.lock.hold(id, () => this.release(id));
  }

  /** The same for who holds the container's lock. */
  async release(id: string): Promise<void> {
    const found = this.claimed.get(id);
    if (!found) return;
    this.claimed.delete(id);
    clearTimeout(found.timer);
    await this.end(found.ready);
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    const waiting = this.waiting.splice(0);
    await Promise.all([...this.claimed.keys()].map((id) => this.drop(id)));
    await Promise.all(waiting.map((ready) => this.end(ready)));
    this.context = undefined;
  }

  private all(): ReadyContainer[] {
    return [...this.waiting, ...[...this.claimed.values()].map(({ ready }) => ready)];
  }

  private keep(ready: ReadyContainer): void {
    const timer = setTimeout(() => void this.drop(ready.id), KEEP_CLAIMED_MS);
    timer.unref();
    this.claimed.set(ready.id, { ready, timer });
  }

  private async end({ id, launch, link }: ReadyContainer): Promise<void> {
    // What it is still making would be there when its groups have been removed. It may have ended by itself.
    await launch.begun.catch(() => undefined);
    launch.drop();
    await this.context?.cgroups.end(id);
    if (link && this.context) freeEndpoint(this.context, link.endpoint);
  }

  private refill(afterMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fill(), afterMs);
    this.timer.unref();
  }

  private fill(): void {
    const { context, wanted } = this;
    if (!context) return;
    this.removeEnded();
    const other = this.waiting.find((one) => kindOf(one) !== wanted);
    if (this.waiting.length >= this.size) {
      if (other) this.remove(other);
      else return;
    }
    try {
      this.waiting.push(
        prepareContainer(context, { ...newIds(context, this.idBases), kind: wanted }),
      );
      this.refill(0);
    } catch (error) {
      console.error(`tiffin: no container is begun ahead: ${messageOf(error)}`);
      this.refill(RETRY_AFTER_MS);
    }
  }

  private removeEnded(): void {
    for (const ready of this.waiting.filter(({ launch }) => launch.ended !== undefined)) {
      this.remove(ready);
    }
  }

  private remove(ready: ReadyContainer): void {
    this.waiting.splice(this.waiting.indexOf(ready), 1);
    void this.end(ready);
  }
}

function kindOf({ link }: ReadyContainer): Kind {
  return link ? "bridge" : "loopback";
}

function newIds(
  context: EngineContext,
  taken: readonly number[],
): { readonly id: string; readonly idBase: number } {
  const used = new Set([...context.containers.all().map(({ idBase }) => idBase), ...taken]);
  return { id: randomBytes(32).toString("hex"), idBase: allocateRange(used, context.id) };
}

function prepareContainer(
  context: EngineContext,
  begun: { readonly id: string; readonly idBase: number; readonly kind: Kind },
): ReadyContainer {
  const { id, idBase, kind } = begun;
  const link = kind === "bridge" ? makeReadyLink(context, id) : undefined;
  const links = link ? [link] : [];
  const plan = planReadyLaunch({
    cloneFlags: READY_NAMESPACES,
    cgroup: context.cgroups.plan({
      containerId: id,
      resources: {},
      deviceRules: DEFAULT_DEVICE_RULES,
    }),
    idBase,
    links: planLinks(links),
    interfaces: planInterfaces(links),
  });
  try {
    return { id, idBase, link, launch: context.launcher.prepare(plan, `tiffin-${id.slice(0, 8)}`) };
  } catch (error) {
    if (link) freeEndpoint(context, link.endpoint);
    throw error;
  }
}

/** Whether a container can begin as one that is ready. */
export function canBeReady(spec: ContainerSpec, namespaces: NamespacePlan): boolean {
  return (
    namespaces.cloneFlags === READY_NAMESPACES &&
    namespaces.joins.length === 0 &&
    namespaces.userNamespace === "own" &&
    namespaces.networkPath === undefined &&
    // Where its terminal is passed on depends on the order in which descriptors are opened.
    !spec.tty &&
    spec.cgroupParent === "" &&
    (spec.resources.cpuRealtimeRuntimeMicroseconds ?? 0) === 0 &&
    !isForeignRuntime(spec.runtime)
  );
}
