import { TiffinError, invalidArgument } from "../base/error.ts";
import { type Operation, type Register, call, register } from "../base/operation.ts";
import { O, OPEN_HOW_SIZE } from "../kernel/flags.ts";
import { IFF_UP, NETLINK_ROUTE, NLM_F, RTM, encodeMessages, linkBody } from "../kernel/netlink.ts";
import { openHowWithin } from "./mount-operations.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | O.CLOEXEC;
/** In a new network namespace the loopback interface is always the first. */
const LOOPBACK_INDEX = 1;

/**
 * Brings up the loopback interface of a new network namespace. Container side. No acknowledgement is asked for: the kernel
 * handles the message within sendto, which fails for what it cannot take; a refusal would come back as a message, and
 * is not possible here for the namespace's owner.
 */
export function planLoopback(): Operation[] {
  const message = encodeMessages([
    {
      type: RTM.NEWLINK,
      flags: NLM_F.REQUEST,
      body: linkBody({ index: LOOPBACK_INDEX, flags: IFF_UP, change: IFF_UP }),
      attributes: [],
    },
  ]);
  const socket = register("netlink");
  return [
    call("socket", [AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE], "open a netlink socket", {
      result: "netlink",
    }),
    call(
      "sendto",
      [socket, message, message.length, 0, kernelAddress(), 12],
      "bring up the loopback interface",
    ),
  ];
}

/** struct sockaddr_nl of the kernel. */
function kernelAddress(): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes[0] = AF_NETLINK;
  return bytes;
}

export interface SysctlContext {
  readonly ownNetwork: boolean;
  readonly ownIpc: boolean;
  readonly ownUts: boolean;
  /** The container has a user namespace of its own. */
  readonly ownUser: boolean;
}

const IPC_SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/**
 * What docker sets where the container has a network namespace of its own: any user may bind ports below 1024 and send
 * ICMP echo requests. The group range is that of all groups that exist: in a user namespace those that are mapped.
 */
export function defaultSysctls(context: SysctlContext): Record<string, string> {
  if (!context.ownNetwork) return {};
  return {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": context.ownUser ? "0 65535" : "0 2147483647",
  };
}

/**
 * Refuses what would change the host: only settings of the IPC and network namespaces can be a container's, and only where it
 * has its own. `net/ipv4/x` and `net.ipv4.x` are both understood.
 *
 * @throws invalid-argument
 */
export function validateSysctls(
  sysctls: Readonly<Record<string, string>>,
  context: SysctlContext,
): void {
  for (const name of Object.keys(sysctls)) {
    const dotted = dottedName(name);
    const path = sysctlPath(name);
    if (path.split("/").some((part) => part === "" || part === "." || part === "..")) {
      throw invalidArgument(`Cannot set sysctl ${JSON.stringify(name)}: that is not a name`);
    }
    if (IPC_SYSCTLS.has(dotted) || dotted.startsWith("fs.mqueue.")) {
      if (!context.ownIpc) throw notOwn(name, "--ipc=host", "IPC");
    } else if (dotted.startsWith("net.")) {
      if (!context.ownNetwork) throw notOwn(name, "--network=host", "network");
    } else if (dotted === "kernel.domainname" || dotted === "kernel.hostname") {
      if (!context.ownUts || dotted === "kernel.hostname") {
        throw invalidArgument(`Cannot set sysctl "${name}": use --hostname for the host name`);
      }
    } else {
      throw invalidArgument(
        `Cannot set sysctl "${name}": it is not in a separate kernel namespace`,
        "Set it on the host, for all containers",
      );
    }
  }
}

function notOwn(name: string, option: string, namespace: string): TiffinError {
  return invalidArgument(
    `Cannot set sysctl "${name}" with ${option}: the ${namespace} namespace is not the container's own`,
  );
}

/** `net/ipv4/conf/eth0.1/x` keeps its dots in the parts; in the dotted form a slash stands for a dot (sysctl(8)). */
function sysctlPath(name: string): string {
  const dot = name.indexOf(".");
  const slash = name.indexOf("/");
  if (slash >= 0 && (dot < 0 || slash < dot)) return name;
  return name.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."));
}

function dottedName(name: string): string {
  return sysctlPath(name).replaceAll("/", ".");
}

/**
 * Writes settings through the proc that a descriptor holds. Container side, in the container's namespaces, before the proc
 * is part of a tree that others can change: nothing but the kernel's own files is ever written to (CVE-2025-52881). Any
 * proc will do: what is written is that of the writer's namespaces.
 *
 * @param mayFail names whose failure is fine: those that the user did not ask for
 */
export function planSysctls(
  sysctls: Readonly<Record<string, string>>,
  options: { proc: Register; mayFail: boolean },
): Operation[] {
  const file = register("sysctl");
  return Object.entries(sysctls).flatMap(([name, value]) => {
    const text = Buffer.from(value);
    const open = call(
      "openat2",
      [options.proc, `sys/${sysctlPath(name)}`, openHowWithin(O.WRONLY), OPEN_HOW_SIZE],
      `open the setting ${name}`,
      {
        result: "sysctl",
        hints: { ENOENT: `The kernel has no setting ${name}` },
        ...(options.mayFail && { okErrors: true as const }),
      },
    );
    const write = [
      call("write", [file, text, text.length], `set ${name} to ${value}`, {
        hints: { EINVAL: `${name} does not take ${JSON.stringify(value)}` },
        ...(options.mayFail && { okErrors: true as const }),
      }),
    ];
    if (!options.mayFail) return [open, ...write];
    return [
      open,
      {
        control: "branch" as const,
        reason: `set ${name} where the kernel has it`,
        ifNegative: file,
        then: [],
        otherwise: write,
      },
    ];
  });
}
