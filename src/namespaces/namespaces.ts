import { TiffinError, invalidArgument } from "../base/error.ts";
import { type Operation, type Register, call } from "../base/operation.ts";
import { CLONE } from "../kernel/flags.ts";

/** The modes as docker writes them: "", host, private, container:ID, for ipc also none and shareable. */
export interface NamespaceModes {
  readonly pidMode: string;
  readonly ipcMode: string;
  readonly utsMode: string;
  readonly usernsMode: string;
  readonly cgroupnsMode: string;
  readonly networkMode: string;
  readonly privileged: boolean;
  readonly hostname: string;
  readonly domainname: string;
  readonly timeOffsetSeconds: number;
  /** cgroup 2 alone (not hybrid): docker's default for --cgroupns is then private, else host. */
  readonly cgroupVersion: 1 | 2;
}

/** What is known of a running container whose namespaces another one joins. */
export interface JoinTarget {
  readonly id: string;
  /** First host id of its range; 0: it is in the host's user namespace. */
  readonly idBase: number;
  /** Its --ipc was `shareable`, or it shares another's. */
  readonly ipcShareable: boolean;
}

export interface Join {
  readonly target: JoinTarget;
  /** CLONE_NEW* of what is entered; has CLONE_NEWUSER in the first join of a target with a user namespace of its own. */
  readonly flags: bigint;
}

export type UserNamespace = "host" | "own" | "shared";
export type NetworkNamespace = "host" | "own" | "shared";

export interface NamespacePlan {
  /** For clone3: CLONE_NEWNS always, CLONE_NEWUSER for a user namespace of its own, and so on; never NEWCGROUP, NEWTIME. */
  readonly cloneFlags: bigint;
  /**
   * Entered, in this order, by the process that calls clone3 with `cloneFlags`. That must be a process of its own
   * (neither the supervisor nor the container's first): one who entered a user namespace cannot leave it, and a pid
   * namespace holds only children. When `userNamespace` is "shared", everything new is then owned by the namespace that
   * is shared. Let it clone with CLONE_PARENT, so that the supervisor reaps the container.
   */
  readonly joins: readonly Join[];
  readonly userNamespace: UserNamespace;
  /** Whose user namespace and range of ids are shared, when `userNamespace` is "shared". */
  readonly userNamespaceOf?: JoinTarget;
  readonly network: NetworkNamespace;
  /** Of a network namespace that is somebody's beside the containers': entered before all else. */
  readonly networkPath?: string;
  /** The container sees the host's processes. */
  readonly hostPid: boolean;
  /** Own /dev/shm (true), or that of the container or host whose IPC namespace is joined. */
  readonly ipc: "own" | "shareable" | "none" | "host" | "shared";
  readonly uts: "own" | "host";
  /** unshare(CLONE_NEWCGROUP) by the container's first process, once it is in its cgroups. */
  readonly newCgroup: boolean;
  /** An own time namespace: see planTimeNamespace. */
  readonly newTime: boolean;
  /** What the user should know, as sentences. */
  readonly warnings: readonly string[];
}

type ModeName = "pid" | "ipc" | "uts" | "network";

interface Mode {
  readonly kind: "own" | "host" | "container" | "none" | "shareable" | "path";
  readonly container?: string;
  readonly path?: string;
}

const ALLOWED: Readonly<Record<ModeName, readonly string[]>> = {
  pid: ["host"],
  ipc: ["host", "private", "shareable", "none"],
  uts: ["host"],
  network: ["host", "none", "default", "bridge"],
};

function readMode(name: ModeName, written: string): Mode {
  if (written === "") return { kind: "own" };
  const container = /^container:(.*)$/.exec(written)?.[1];
  if (container !== undefined && name !== "uts") {
    if (container === "") {
      throw invalidArgument(`Cannot use --${name} "container:": the container's name is missing`);
    }
    return { kind: "container", container };
  }
  const path = /^ns:(.*)$/s.exec(written)?.[1];
  if (path !== undefined && name === "network") {
    if (path.startsWith("/")) return { kind: "path", path };
    throw invalidArgument(
      `Cannot use --network ${JSON.stringify(written)}: the path of a network namespace begins with /`,
      "ip netns add NAME makes /run/netns/NAME",
    );
  }
  // Any other network is the name of one that the user made: a namespace of its own.
  if (!ALLOWED[name].includes(written) && name !== "network") {
    throw invalidArgument(
      `Cannot use --${name} ${JSON.stringify(written)}: it is none of ${ALLOWED[name].join(", ")}${name === "uts" ? "" : ", container:NAME"}`,
    );
  }
  if (written === "host") return { kind: "host" };
  if (name === "ipc" && (written === "none" || written === "shareable")) return { kind: written };
  return { kind: "own" };
}

/**
 * The containers (as the user named them) that {@link resolveNamespaces} wants to know: the engine looks them up, once
 * each, and refuses those that do not run.
 */
export function namedContainers(modes: NamespaceModes): string[] {
  const named = [
    readMode("network", modes.networkMode),
    readMode("ipc", modes.ipcMode),
    readMode("pid", modes.pidMode),
  ].flatMap((mode) => mode.container ?? []);
  return [...new Set(named)];
}

/** @throws invalid-argument with docker's words for what cannot go together; checked at create, without any target */
export function validateModes(modes: NamespaceModes): void {
  const network = readMode("network", modes.networkMode);
  readMode("pid", modes.pidMode);
  readMode("ipc", modes.ipcMode);
  const uts = readMode("uts", modes.utsMode);
  oneOf("--userns", modes.usernsMode, ["", "host", "private"]);
  oneOf("--cgroupns", modes.cgroupnsMode, ["", "host", "private"]);
  if (modes.hostname !== "" && uts.kind === "host") {
    throw invalidArgument("Cannot use --hostname with --uts=host: conflicting options");
  }
  if (modes.domainname !== "" && uts.kind === "host") {
    throw invalidArgument("Cannot use --domainname with --uts=host: conflicting options");
  }
  if (modes.hostname !== "" && network.kind === "container") {
    throw invalidArgument("Cannot use --hostname with --network=container: conflicting options");
  }
  if (modes.usernsMode === "private") {
    const reasons = hostPowers(modes);
    if (reasons.length > 0) {
      throw invalidArgument(
        `Cannot use ${reasons[0]} with a user namespace: it shares what the host owns`,
        "Use --userns=host, or leave --userns out",
      );
    }
  }
}

function oneOf(flag: string, written: string, allowed: readonly string[]): void {
  if (allowed.includes(written)) return;
  throw invalidArgument(
    `Cannot use ${flag} ${JSON.stringify(written)}: it is none of ${allowed.filter((word) => word !== "").join(", ")}`,
  );
}

/** The options that need the host's user namespace, as docker's userns-remap documentation lists them. */
function hostPowers(modes: NamespaceModes): string[] {
  const reasons: string[] = [];
  if (modes.privileged) reasons.push("--privileged");
  if (modes.pidMode === "host") reasons.push("--pid=host");
  if (modes.networkMode === "host") reasons.push("--network=host");
  if (modes.networkMode.startsWith("ns:")) reasons.push(`--network=${modes.networkMode}`);
  return reasons;
}

/**
 * Modes to clone flags and joins.
 *
 * The user namespace: an own one by default. `host` when asked for, and when --privileged, --pid=host or --network=host
 * is (docker's userns-remap wants --userns=host said beside them; here it is implied, with a warning, unless
 * --userns=private forbids it). Who joins a container's network, ipc or pid namespace shares that one's user namespace
 * and ids too: only there does it have power over what it joins, and the same ids mean the same owners.
 *
 * @param targets what {@link namedContainers} named, by that name
 * @throws invalid-argument, conflict
 */
export function resolveNamespaces(
  modes: NamespaceModes,
  targets: ReadonlyMap<string, JoinTarget>,
): NamespacePlan {
  validateModes(modes);
  const [network, ipc, pid, uts] = [
    readMode("network", modes.networkMode),
    readMode("ipc", modes.ipcMode),
    readMode("pid", modes.pidMode),
    readMode("uts", modes.utsMode),
  ];
  const joins = new JoinList(targets);
  joins.add(network, CLONE.NEWNET);
  joins.add(pid, CLONE.NEWPID);
  const ipcTarget = joins.add(ipc, CLONE.NEWIPC);
  if (ipcTarget && !ipcTarget.ipcShareable) {
    throw new TiffinError(
      "conflict",
      `Cannot join the IPC namespace of container "${ipc.container}": it is not shareable`,
      {
        hint: `Start ${ipc.container} with --ipc=shareable`,
      },
    );
  }
  const user = chooseUserNamespace(modes, joins.targets());

  let cloneFlags = CLONE.NEWNS;
  if (user.userNamespace === "own") cloneFlags |= CLONE.NEWUSER;
  if (isNew(pid)) cloneFlags |= CLONE.NEWPID;
  if (isNew(ipc)) cloneFlags |= CLONE.NEWIPC;
  if (isNew(uts)) cloneFlags |= CLONE.NEWUTS;
  if (isNew(network)) cloneFlags |= CLONE.NEWNET;
  return {
    cloneFlags,
    joins: joins.list(user.userNamespace === "shared"),
    userNamespace: user.userNamespace,
    ...(user.userNamespaceOf && { userNamespaceOf: user.userNamespaceOf }),
    network: networkNamespace(network),
    ...(network.path === undefined ? {} : { networkPath: network.path }),
    hostPid: pid.kind === "host",
    ipc: ipc.kind === "container" || ipc.kind === "path" ? "shared" : ipc.kind,
    uts: uts.kind === "host" ? "host" : "own",
    newCgroup: hasOwnCgroupNamespace(modes, user.userNamespace === "host"),
    newTime: modes.timeOffsetSeconds !== 0,
    warnings: user.warnings,
  };
}

function isNew(mode: Mode): boolean {
  return mode.kind !== "host" && mode.kind !== "container" && mode.kind !== "path";
}

function networkNamespace(mode: Mode): NetworkNamespace {
  if (isNew(mode)) return "own";
  return mode.kind === "host" ? "host" : "shared";
}

/**
 * Docker's default is private on cgroup 2 and host on cgroup 1. In a user namespace it is always private unless asked
 * otherwise: without it the container could not mount its cgroup file system.
 */
export function hasOwnCgroupNamespace(modes: NamespaceModes, isHostUser: boolean): boolean {
  if (modes.cgroupnsMode !== "") return modes.cgroupnsMode === "private";
  if (modes.privileged && modes.cgroupVersion === 1) return false;
  return !isHostUser || modes.cgroupVersion === 2;
}

/** The targets in the order of their first mention, each with what is entered of it. */
class JoinList {
  private readonly known: ReadonlyMap<string, JoinTarget>;
  private readonly entered = new Map<string, { target: JoinTarget; flags: bigint }>();

  constructor(known: ReadonlyMap<string, JoinTarget>) {
    this.known = known;
  }

  add(mode: Mode, flag: bigint): JoinTarget | undefined {
    if (mode.container === undefined) return undefined;
    const target = this.known.get(mode.container);
    if (target === undefined) {
      throw new TiffinError(
        "not-found",
        `Cannot join a namespace of "${mode.container}": no such container runs`,
      );
    }
    const entry = this.entered.get(target.id) ?? { target, flags: 0n };
    entry.flags |= flag;
    this.entered.set(target.id, entry);
    return target;
  }

  targets(): JoinTarget[] {
    return [...this.entered.values()].map((entry) => entry.target);
  }

  list(enterUser: boolean): Join[] {
    return [...this.entered.values()].map(({ target, flags }, index) => ({
      target,
      // Entering the user namespace that one is in already is EINVAL (setns(2)).
      flags: enterUser && index === 0 ? flags | CLONE.NEWUSER : flags,
    }));
  }
}

function chooseUserNamespace(
  modes: NamespaceModes,
  targets: readonly JoinTarget[],
): Pick<NamespacePlan, "userNamespace" | "userNamespaceOf" | "warnings"> {
  if (modes.usernsMode === "host") return { userNamespace: "host", warnings: [] };
  const powers = hostPowers(modes);
  if (powers.length > 0) {
    return {
      userNamespace: "host",
      warnings: [`${powers.join(" and ")} implies --userns=host: root inside is root on the host`],
    };
  }
  const [first] = targets;
  if (first === undefined) return { userNamespace: "own", warnings: [] };
  const stranger = targets.find((target) => target.idBase !== first.idBase);
  if (stranger) {
    throw new TiffinError(
      "conflict",
      `Cannot join namespaces of containers ${short(first)} and ${short(stranger)}: they are in different user namespaces`,
      { hint: "Use --userns=host, or join namespaces of one container only" },
    );
  }
  if (first.idBase === 0) {
    if (modes.usernsMode === "private") {
      throw new TiffinError(
        "conflict",
        `Cannot join a namespace of container ${short(first)} with --userns=private: it is in the host's user namespace`,
      );
    }
    return {
      userNamespace: "host",
      warnings: [
        `Joining container ${short(first)} implies --userns=host, since that one has it: root inside is root on the host`,
      ],
    };
  }
  return { userNamespace: "shared", userNamespaceOf: first, warnings: [] };
}

function short(target: JoinTarget): string {
  return target.id.slice(0, 12);
}

/**
 * Enters the namespaces of other containers. Run by the process that then clones (see {@link NamespacePlan.joins}), on
 * the container side of the supervisor's fork.
 *
 * @param pidfds a descriptor (or the register that holds it) of each target's first process, by container id: the engine opens it and makes sure that
 * the process is still the container's
 */
export function planJoins(
  joins: readonly Join[],
  pidfds: ReadonlyMap<string, Register | number>,
): Operation[] {
  return joins.map(({ target, flags }) => {
    const pidfd = pidfds.get(target.id);
    if (pidfd === undefined) {
      throw new TiffinError("internal", `No descriptor for container ${short(target)} to join`);
    }
    return call("setns", [pidfd, flags], `enter namespaces of container ${short(target)}`, {
      hints: { ESRCH: `Container ${short(target)} has ended; start it first` },
    });
  });
}

/** Enters a network namespace by the path of its file, by the same process. */
export function planNetworkPath(path: string): Operation[] {
  const hints = {
    ENOENT: "ip netns add NAME makes /run/netns/NAME",
    EINVAL: "It is no network namespace",
  };
  const code = "invalid-argument" as const;
  return [
    call("openat", [-100, path, 0o2004000, 0], `open the network namespace ${path}`, {
      result: "netns",
      hints,
      code,
    }),
    call("setns", [{ register: "netns" }, CLONE.NEWNET], `enter the network namespace ${path}`, {
      hints,
      code,
    }),
  ];
}

/** A cgroup namespace whose root is the container's own group. Container side, once the process is in its cgroups. */
export function planCgroupNamespace(): Operation[] {
  return [call("unshare", [CLONE.NEWCGROUP], "make its own cgroup the root of what it sees")];
}

/**
 * An own time namespace whose monotonic and boot-time clocks are `seconds` ahead. Container side, by the container's first
 * process alone (the clocks of whoever enters shift), while the host's /proc is still there or after its own is
 * mounted at `procPath`. Source: time_namespaces(7).
 */
export function planTimeNamespace(seconds: number, procPath = "/proc"): Operation[] {
  const offsets = Buffer.from(`monotonic ${seconds} 0\nboottime ${seconds} 0\n`);
  return [
    call("unshare", [CLONE.NEWTIME], "make a time namespace", {
      hints: { EINVAL: "The kernel lacks CONFIG_TIME_NS; leave --time-offset out" },
    }),
    call(
      "openat",
      [-100, `${procPath}/self/timens_offsets`, 0o2000001, 0],
      "open the clocks' offsets",
      {
        result: "time",
      },
    ),
    call(
      "write",
      [{ register: "time" }, offsets, offsets.length],
      `set the clocks off by ${seconds} s`,
      {
        hints: {
          ERANGE: "The clocks would become negative or too large: use a smaller --time-offset",
        },
      },
    ),
    call(
      "openat",
      [-100, `${procPath}/self/ns/time_for_children`, 0o2000000, 0],
      "open the time namespace",
      {
        result: "time",
      },
    ),
    call("setns", [{ register: "time" }, CLONE.NEWTIME], "enter the time namespace"),
  ];
}

/** Host and domain name. Container side, in the new UTS namespace. */
export function planHostname(hostname: string, domainname: string): Operation[] {
  const operations: Operation[] = [];
  if (hostname !== "") {
    const bytes = nameBytes("host name", hostname);
    operations.push(
      call("sethostname", [bytes, bytes.length], `name the container's host "${hostname}"`),
    );
  }
  if (domainname !== "") {
    const bytes = nameBytes("domain name", domainname);
    operations.push(
      call("setdomainname", [bytes, bytes.length], `set the domain name "${domainname}"`),
    );
  }
  return operations;
}

/** __NEW_UTS_LEN of the kernel. */
const LONGEST_NAME = 64;

function nameBytes(what: string, name: string): Uint8Array {
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME || name.includes("\0")) {
    throw invalidArgument(
      `Cannot use ${what} ${JSON.stringify(name)}: it is longer than ${LONGEST_NAME} bytes`,
    );
  }
  return bytes;
}
