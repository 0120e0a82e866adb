import { existsSync, readFileSync } from "node:fs";
import type { Engine } from "../engine/engine.ts";
import type { Container } from "../engine/types.ts";
import {
  type ApiVersion,
  formatApiVersion,
  isAtLeast,
  maximumApiVersion,
  minimumApiVersion,
} from "./api-version.ts";
import { summarizer } from "./container-list.ts";
import { platformArchitecture } from "./containers.ts";
import { streamEvents } from "./events.ts";
import { summarizeImage } from "./image-json.ts";
import { productVersion } from "./product.ts";
import { json, text } from "./reply.ts";
import type { JsonReply, TextReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";
import { volumesWithUsage } from "./volumes.ts";

export const systemRoutes: readonly Route[] = [
  { method: "GET", path: "/_ping", handler: ping },
  { method: "HEAD", path: "/_ping", handler: ping },
  { method: "GET", path: "/version", handler: readVersion },
  { method: "GET", path: "/info", handler: readInfo },
  { method: "GET", path: "/events", handler: streamEvents },
  { method: "GET", path: "/system/df", handler: diskUsage },
];

/** Builder 1: BuildKit's protocol is not spoken. */
function ping(): TextReply {
  return text("OK", {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
    "Builder-Version": "1",
    Swarm: "inactive",
  });
}

function readVersion({ engine }: ApiRequest): JsonReply {
  const { host } = engine;
  const common = {
    ApiVersion: formatApiVersion(maximumApiVersion),
    MinAPIVersion: formatApiVersion(minimumApiVersion),
    Os: "linux",
    Arch: platformArchitecture(host.architecture),
    KernelVersion: host.kernelVersion,
    GitCommit: "",
    GoVersion: "",
    BuildTime: "",
  };
  return json({
    Platform: { Name: "Tiffin" },
    Version: productVersion,
    ...common,
    Components: [
      {
        Name: "Engine",
        Version: productVersion,
        Details: { ...common, Experimental: "false" },
      },
    ],
  });
}

function readInfo(request: ApiRequest): JsonReply {
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
      Network: ["host", "null"],
      Authorization: null,
      Log: ["cri", "none"],
    },
    ...limitSupport(request.version),
    IPv4Forwarding: true,
    Debug: false,
    NFd: -1,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "cri",
    CgroupDriver: "cgroupfs",
    CgroupVersion: String(host.cgroupVersion),
    NEventsListener: 0,
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: "",
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
    Runtimes: { tiffin: { path: "tiffin" } },
    DefaultRuntime: "tiffin",
    Swarm: swarmInfo(),
    // Containers outlive the engine.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: commit,
    RuncCommit: commit,
    InitCommit: commit,
    SecurityOptions: ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"],
    Warnings: null,
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

function limitSupport(version: ApiVersion): Record<string, boolean> {
  return {
    MemoryLimit: true,
    SwapLimit: true,
    ...(isAtLeast(version, 1, 42) ? {} : { KernelMemory: false, KernelMemoryTCP: false }),
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    OomKillDisable: false,
    // Old clients warn when they are off; docker says what the kernel says.
    BridgeNfIptables: isOn("bridge-nf-call-iptables"),
    BridgeNfIp6tables: isOn("bridge-nf-call-ip6tables"),
  };
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

/** `GET /system/df?type=…`; without a type everything is counted. */
async function diskUsage(request: ApiRequest): Promise<JsonReply> {
  const { engine, query } = request;
  const types = query.getAll("type");
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const images = engine.images.images();
  return json({
    LayersSize: wants("image") ? images.reduce((sum, image) => sum + image.sizeBytes, 0) : 0,
    Images: wants("image") ? summarizeUsedImages(request) : null,
    Containers: wants("container") ? await summarizeAll(engine) : null,
    Volumes: wants("volume") ? await volumesWithUsage(engine) : null,
    BuildCache: wants("build-cache") ? [] : null,
    ...(isAtLeast(request.version, 1, 42) ? {} : { BuilderSize: 0 }),
  });
}

function summarizeUsedImages({ engine, version: apiVersion }: ApiRequest): object[] {
  const containers = engine.containers();
  return engine.images.images().map((image) => ({
    ...summarizeImage(
      image,
      apiVersion,
      containers.filter(({ imageId }) => imageId === image.id).length,
    ),
    // Which layers are shared is not known here.
    SharedSize: 0,
  }));
}

async function summarizeAll(engine: Engine): Promise<object[]> {
  const summarize = summarizer(engine, true);
  const summaries: object[] = [];
  for (const container of engine.containers()) summaries.push(await summarize(container));
  return summaries;
}
