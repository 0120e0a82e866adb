import { join } from "node:path";
import { humanDuration } from "../base/duration.ts";
import { containerDirectories } from "../engine/container-directories.ts";
import { isChecked } from "../engine/health/health-policy.ts";
import { OWN_RUNTIME } from "../engine/runtime/find-runtime.ts";
import type { Container, ContainerSpec, ContainerState, Places } from "../engine/types.ts";
import type { ApiVersion } from "./api-version.ts";
import { formatNetworkRate } from "../base/network-rate.ts";
import { netRateAnnotation, timeOffsetAnnotation, unmaskedPaths } from "./container-config.ts";
import {
  formatHealth,
  formatHealthCheck,
  formatLifeAnnotations,
  healthWord,
} from "./container-health.ts";
import { formatResources } from "./container-resources.ts";
import { isNever } from "./docker-time.ts";
import { formatBind, formatMount, formatTmpfs, mountPointsOf } from "./mount-format.ts";
import { formatBindings, formatNetworkSettings, type NetworkFacts } from "./network-settings.ts";

/** What an inspect says beside the container's own record. */
export interface InspectFacts {
  readonly version: ApiVersion;
  readonly networks: NetworkFacts;
  readonly places: Places;
  readonly execIds: readonly string[];
  /** What is hidden from it, and what it may only read. */
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  /** host or private, as it really is. */
  readonly cgroupnsMode: string;
  /** Host path of a volume's content. */
  readonly volumePath: (name: string) => string;
  /** Directories of the image's layers, the lowest first. */
  readonly layers: readonly string[];
  readonly size?: { readonly rw: number; readonly rootFs: number };
}

/** `GET /containers/{id}/json`: docker's full shape, with its defaults for what does not exist here. */
export function formatInspect(container: Container, facts: InspectFacts): Record<string, unknown> {
  const { spec } = container;
  const [path = "", ...args] = commandOf(spec);
  const { files } = containerDirectories(facts.places, container.id);
  return {
    Id: container.id,
    Created: container.createdAt,
    Path: path,
    Args: args,
    State: formatState(container),
    Image: container.imageId,
    ResolvConfPath: join(files, "resolv.conf"),
    HostnamePath: join(files, "hostname"),
    HostsPath: join(files, "hosts"),
    LogPath: spec.logDriver === "none" ? "" : container.logPath,
    Name: `/${container.name}`,
    RestartCount: container.state.restartCount,
    Driver: "overlayfs",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: facts.execIds.length === 0 ? null : facts.execIds,
    HostConfig: formatHostConfig(container, facts),
    GraphDriver: formatGraphDriver(container, facts),
    ...(facts.size === undefined ? {} : { SizeRw: facts.size.rw, SizeRootFs: facts.size.rootFs }),
    Mounts: mountPointsOf(spec, facts.volumePath),
    Config: formatConfig(spec),
    NetworkSettings: formatNetworkSettings(container, facts.networks),
  };
}

/** The argument vector that the container runs. */
export function commandOf(spec: ContainerSpec): string[] {
  return [...(spec.entrypoint ?? []), ...(spec.command ?? [])];
}

/** The merged root is mounted in the container's own mount namespace: the host reaches it through its process. */
function formatGraphDriver(container: Container, facts: InspectFacts): Record<string, unknown> {
  const { writable } = containerDirectories(facts.places, container.id);
  const { pid } = container.state;
  const lower = facts.layers.toReversed().join(":");
  return {
    Data: {
      ID: container.id,
      LowerDir: lower,
      MergedDir: pid === 0 ? "" : `/proc/${pid}/root`,
      UpperDir: join(writable, "upper"),
      WorkDir: join(writable, "work"),
    },
    Name: "overlayfs",
  };
}

function formatState({ state, health, spec }: Container): Record<string, unknown> {
  const { status } = state;
  return {
    Status: status,
    Running: isRunning(state),
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(health !== null && isChecked(spec.healthcheck) ? { Health: formatHealth(health) } : {}),
    ...((state.lostLogBytes ?? 0) > 0 ? { LostLogBytes: state.lostLogBytes } : {}),
  };
}

/** Docker counts a paused and a restarting container as running. */
export function isRunning({ status }: ContainerState): boolean {
  return status === "running" || status === "paused" || status === "restarting";
}

/** The STATUS column of `docker ps`: `Up 3 minutes`, `Exited (0) 2 hours ago`. */
export function statusWords(
  { state, ...container }: Pick<Container, "state" | "health" | "spec">,
  nowMilliseconds: number,
): string {
  const since = (time: string): string =>
    humanDuration((nowMilliseconds - Date.parse(time)) / 1000);
  if (state.status === "paused") return `Up ${since(state.startedAt)} (Paused)`;
  if (state.status === "restarting") {
    return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
  if (state.status === "running") {
    const health = healthWord(container);
    const shown = health === "starting" ? "health: starting" : health;
    return `Up ${since(state.startedAt)}${health === "none" ? "" : ` (${shown})`}`;
  }
  if (state.status === "removing") return "Removal In Progress";
  if (state.status === "dead") return "Dead";
  if (state.status === "created" || isNever(state.startedAt)) return "Created";
  if (isNever(state.finishedAt)) return "";
  return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
}

function formatConfig(spec: ContainerSpec): Record<string, unknown> {
  return {
    Hostname: spec.hostname,
    Domainname: spec.domainname,
    User: spec.user,
    AttachStdin: spec.attachStdin,
    AttachStdout: spec.attachStdout,
    AttachStderr: spec.attachStderr,
    ...(spec.exposedPorts.length === 0 ? {} : { ExposedPorts: setOf(spec.exposedPorts) }),
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.stdinOnce,
    Env: listOrNull(spec.environment),
    Cmd: spec.command,
    Image: spec.image,
    Volumes: spec.volumes.length === 0 ? null : setOf(spec.volumes),
    WorkingDir: spec.workingDirectory,
    Entrypoint: spec.entrypoint === null || spec.entrypoint.length === 0 ? null : spec.entrypoint,
    OnBuild: null,
    Labels: spec.labels,
    ...(spec.healthcheck === null ? {} : { Healthcheck: formatHealthCheck(spec.healthcheck) }),
    ...(spec.stopSignal === "" ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.stopTimeoutSeconds === null ? {} : { StopTimeout: spec.stopTimeoutSeconds }),
  };
}

/** In the order of docker's own type, which clients that print it whole keep. */
function formatHostConfig(container: Container, facts: InspectFacts): Record<string, unknown> {
  const { spec } = container;
  const asked = (kind: string) => spec.mounts.filter((mount) => mount.asked === kind);
  const [binds, mounts, tmpfs] = [asked("volume-flag"), asked("mount-flag"), asked("tmpfs-flag")];
  const annotations = annotationsOf(spec);
  const unmasked = spec.securityOptions.filter((option) => option !== unmaskedPaths);
  return {
    Binds: listOrNull(binds.map(formatBind)),
    ContainerIDFile: "",
    LogConfig: { Type: spec.logDriver || "cri", Config: spec.logOptions },
    NetworkMode: spec.networkMode,
    PortBindings: formatBindings(spec.portBindings),
    RestartPolicy: {
      Name: spec.restartPolicy.name,
      MaximumRetryCount: spec.restartPolicy.maximumRetryCount,
    },
    AutoRemove: spec.autoRemove,
    VolumeDriver: spec.volumeDriver,
    VolumesFrom: listOrNull(spec.volumesFrom),
    ConsoleSize: [spec.terminalSize.rows, spec.terminalSize.columns],
    ...(annotations === undefined ? {} : { Annotations: annotations }),
    CapAdd: listOrNull(spec.capAdd),
    CapDrop: listOrNull(spec.capDrop),
    CgroupnsMode: facts.cgroupnsMode,
    Dns: spec.resolver.servers,
    DnsOptions: spec.resolver.options,
    DnsSearch: spec.resolver.search,
    ExtraHosts: listOrNull(spec.extraHosts),
    GroupAdd: listOrNull(spec.groupAdd),
    IpcMode: spec.ipcMode || "private",
    Cgroup: "",
    Links: formatLinks(container),
    OomScoreAdj: spec.oomScoreAdjust,
    PidMode: spec.pidMode,
    Privileged: spec.privileged,
    PublishAllPorts: spec.publishAll,
    ReadonlyRootfs: spec.readOnlyRootfs,
    SecurityOpt: listOrNull(unmasked),
    ...(tmpfs.length === 0 ? {} : { Tmpfs: Object.fromEntries(tmpfs.map(formatTmpfs)) }),
    UTSMode: spec.utsMode,
    UsernsMode: spec.usernsMode,
    ShmSize: spec.shmBytes || 64 * 1024 * 1024,
    ...(Object.keys(spec.sysctls).length === 0 ? {} : { Sysctls: spec.sysctls }),
    Runtime: spec.runtime || OWN_RUNTIME,
    Isolation: "",
    ...formatResources(spec, facts.version),
    ...(mounts.length === 0 ? {} : { Mounts: mounts.map(formatMount) }),
    // Of a privileged container docker has none; those that a client gave up are an empty list.
    MaskedPaths: spec.privileged ? null : facts.maskedPaths,
    ReadonlyPaths: spec.privileged ? null : facts.readOnlyPaths,
    ...(spec.init ? { Init: true } : {}),
  };
}

/** As docker: `/NAME:/CONTAINER/ALIAS`. */
function formatLinks({ name, spec }: Container): readonly string[] | null {
  const links = spec.links.map((link) => {
    const [linked = "", alias = linked] = link.split(":");
    return `/${linked}:/${name}/${alias}`;
  });
  return listOrNull(links);
}

function annotationsOf(spec: ContainerSpec): Record<string, string> | undefined {
  const offset =
    spec.timeOffsetSeconds === 0 ? {} : { [timeOffsetAnnotation]: String(spec.timeOffsetSeconds) };
  const rate = spec.networkRate ? { [netRateAnnotation]: formatNetworkRate(spec.networkRate) } : {};
  const all = { ...spec.annotations, ...offset, ...rate, ...formatLifeAnnotations(spec) };
  return Object.keys(all).length === 0 ? undefined : all;
}

function listOrNull<Item>(list: readonly Item[]): readonly Item[] | null {
  return list.length === 0 ? null : list;
}

function setOf(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
