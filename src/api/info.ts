import { existsSync, readFileSync, readdirSync } from "node:fs";
import type { Engine } from "../engine/engine.ts";
import type { FirewallState } from "../engine/networks/network-verbs.ts";
import type { Container } from "../engine/types.ts";
import { knownRuntimes, OWN_RUNTIME } from "../engine/runtime/find-runtime.ts";
import { type ApiVersion, isAtLeast } from "./api-version.ts";
import { productVersion } from "./product.ts";
import { json, type JsonReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";

type Limits = Engine["limits"];

/** `GET /info` */
export function readInfo(request: ApiRequest): JsonReply {
  const { engine } = request;
  const { host } = engine;
  // No other program takes part.
  const commit = isAtLeast(request.version, 1, 48) ? { ID: "" } : { ID: "", Expected: "" };
  return json({
    ID: engine.id,
    ...countContainers(engine.containers()),
    Images: engine.images.images().length,
    Driver: "overlayfs",
    DriverStatus: [["Backing", "idmapped layer directories"]],
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "macvlan", "null"],
      Authorization: null,
      Log: ["cri", "json-file", "local", "none"],
    },
    ...limitSupport(engine.limits, request.version),
    IPv4Forwarding: host.ipv4Forwarding,
    Debug: false,
    NFd: readdirSync("/proc/self/fd").length,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "cri",
    CgroupDriver: "cgroupfs",
    CgroupVersion: String(host.cgroupVersion),
    NEventsListener: engine.eventListeners(),
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.operatingSystemVersion,
    OSType: "linux",
    Architecture: host.architecture,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: [] },
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources: null,
    DockerRootDir: engine.places.root,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: host.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: productVersion,
    Runtimes: knownRuntimes(),
    DefaultRuntime: OWN_RUNTIME,
    Swarm: swarmInfo(),
    // Containers outlive the engine.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: commit,
    RuncCommit: commit,
    InitCommit: commit,
    SecurityOptions: ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"],
    CDISpecDirs: [],
    FirewallBackend: firewallBackend(engine.networks.firewall()),
    Warnings: warnings(engine),
  });
}

function countContainers(containers: readonly Container[]): Record<string, number> {
  const count = (...wanted: string[]): number =>
    containers.filter(({ state }) => wanted.includes(state.status)).length;
  return {
    Containers: containers.length,
    ContainersRunning: count("running", "restarting"),
    ContainersPaused: count("paused"),
    ContainersStopped: count("created", "exited", "dead", "removing"),
  };
}

function limitSupport(limits: Limits, version: ApiVersion): Record<string, boolean> {
  return {
    MemoryLimit: limits.memory,
    SwapLimit: limits.swap,
    ...(isAtLeast(version, 1, 42) ? {} : { KernelMemory: false, KernelMemoryTCP: false }),
    CpuCfsPeriod: limits.cpuQuota,
    CpuCfsQuota: limits.cpuQuota,
    CPUShares: limits.cpuShares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
    OomKillDisable: limits.oomKillDisable,
    // Old clients warn when they are off; docker says what the kernel says.
    BridgeNfIptables: isOn("bridge-nf-call-iptables"),
    BridgeNfIp6tables: isOn("bridge-nf-call-ip6tables"),
  };
}

/** What docker warns of, where the user can do something about it. */
function warnings({ limits, host, networks }: Engine): string[] | null {
  const isV2 = host.cgroupVersion === 2;
  const throttle = (v2: string, v1: string): string =>
    isV2 ? `io.max (${v2})` : `blkio throttle.${v1}`;
  const missing: readonly (readonly [isThere: boolean, what: string])[] = [
    [limits.memory, "memory limit"],
    [limits.swap, "swap limit"],
    [limits.oomKillDisable || isV2, "oom kill disable"],
    [limits.cpuQuota, "cpu cfs quota"],
    [limits.cpuQuota, "cpu cfs period"],
    [limits.cpuShares, "cpu shares"],
    [limits.cpuset, "cpuset"],
    [limits.blkioWeight || !isV2, "io.weight"],
    [limits.blkioWeightDevice || !isV2, "io.weight (per device)"],
    [limits.blkioReadBps, throttle("rbps", "read_bps_device")],
    [limits.blkioWriteBps, throttle("wbps", "write_bps_device")],
    [limits.blkioReadIops, throttle("riops", "read_iops_device")],
    [limits.blkioWriteIops, throttle("wiops", "write_iops_device")],
  ];
  const all = missing
    .filter(([isThere]) => !isThere)
    .map(([, what]) => `WARNING: No ${what} support`);
  if (!host.ipv4Forwarding) all.push("WARNING: IPv4 forwarding is disabled");
  all.push(...firewallWarnings(networks.firewall()));
  return all.length === 0 ? null : all;
}

/** docker's field of the same name; the policy and the table are ours. */
function firewallBackend({ inForce, table }: FirewallState): Record<string, unknown> {
  const isKernel = inForce !== "none";
  return {
    Driver: isKernel ? "nftables" : "none",
    Info: [["Policy", inForce], ...(isKernel ? [["Table", `inet ${table}`]] : [])],
  };
}

function firewallWarnings({ policy, inForce, obstacle }: FirewallState): string[] {
  if (inForce !== "none") return [];
  const why = policy === "none" ? "The firewall's policy is none" : obstacle;
  return [
    `WARNING: ${why}: published ports are passed on by the engine, and containers do not reach other hosts`,
  ];
}

/** A switch of the bridge's netfilter module, which may not be loaded. */
function isOn(name: string): boolean {
  const path = `/proc/sys/net/bridge/${name}`;
  return existsSync(path) && readFileSync(path, "utf8").trim() === "1";
}

function swarmInfo(): Record<string, unknown> {
  return {
    NodeID: "",
    NodeAddr: "",
    LocalNodeState: "inactive",
    ControlAvailable: false,
    Error: "",
    RemoteManagers: null,
  };
}
