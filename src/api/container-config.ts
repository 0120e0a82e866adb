import { invalidArgument, TiffinError } from "../base/error.ts";
import { parseNetworkRate } from "../base/network-rate.ts";
import { signalNumber } from "../base/signal-number.ts";
import type { ContainerSpec, DeviceSpec, Ulimit } from "../engine/types.ts";
import { OWN_RUNTIME } from "../engine/runtime/find-runtime.ts";
import { lifeAnnotations, readLife } from "./container-health.ts";
import { readMounts } from "./container-mounts.ts";
import { readNetworks } from "./container-networks.ts";
import { readResources } from "./container-resources.ts";
import type { JsonObject } from "./json-object.ts";
import { refuseUnsupported } from "./unsupported-options.ts";

/** Seconds between the container's clocks and the host's: an annotation, so that any client can say it. */
export const timeOffsetAnnotation = "dev.tiffin.time-offset";

/** What `--net-rate` says, in its words. */
export const netRateAnnotation = "dev.tiffin.net-rate";

/** What docker's command line turns `--security-opt systempaths=unconfined` into: two empty lists. */
export const unmaskedPaths = "systempaths=unconfined";

/**
 * The body of `POST /containers/create` (Config, with HostConfig and NetworkingConfig in it) as a spec. The engine
 * merges it with the image's configuration and checks what needs knowledge of image, host or other containers.
 * @throws invalid-argument in docker's words; not-implemented for what the engine cannot do yet
 */
export function readContainerSpec(body: JsonObject): ContainerSpec {
  const image = body.string("Image");
  if (image === "") {
    throw invalidArgument("Config cannot be empty in order to create a container", "Name an image");
  }
  const hostConfig = body.object("HostConfig");
  const restartPolicy = readRestartPolicy(hostConfig);
  if (hostConfig.boolean("AutoRemove") && restartPolicy.name !== "no") {
    throw invalidArgument("can't create 'AutoRemove' container with restart policy");
  }
  refuseUnsupported(body, hostConfig);
  const logConfig = hostConfig.object("LogConfig");
  return {
    image,
    ...readProcess(body),
    ...readStreams(body),
    ...readSecurity(hostConfig),
    ...readMounts(body, hostConfig),
    mountPoints: [],
    labels: body.stringMap("Labels"),
    exposedPorts: body.keys("ExposedPorts").map(exposedPort),
    autoRemove: hostConfig.boolean("AutoRemove"),
    init: hostConfig.boolean("Init"),
    devices: hostConfig.objects("Devices").map(readDevice),
    pidMode: hostConfig.string("PidMode"),
    ipcMode: hostConfig.string("IpcMode"),
    utsMode: hostConfig.string("UTSMode"),
    usernsMode: hostConfig.string("UsernsMode"),
    cgroupnsMode: hostConfig.string("CgroupnsMode"),
    ...readNetworks(body, hostConfig),
    ulimits: hostConfig.objects("Ulimits").map(readUlimit),
    sysctls: hostConfig.stringMap("Sysctls"),
    shmBytes: readShmBytes(hostConfig),
    terminalSize: hostConfig.terminalSize("ConsoleSize"),
    resources: readResources(hostConfig),
    cgroupParent: hostConfig
      .string("CgroupParent")
      .split("/")
      .filter((part) => part !== "" && part !== ".")
      .join("/"),
    deviceCgroupRules: hostConfig.strings("DeviceCgroupRules"),
    oomScoreAdjust: hostConfig.integer("OomScoreAdj"),
    logDriver: logConfig.string("Type"),
    logOptions: logConfig.stringMap("Config"),
    restartPolicy,
    runtime: readRuntime(hostConfig.string("Runtime")),
    ...readAnnotations(body, hostConfig.stringMap("Annotations")),
  };
}

/** The engine's own has no name: it is the default. */
function readRuntime(name: string): string {
  return name === OWN_RUNTIME ? "" : name;
}

type ProcessFields = Pick<
  ContainerSpec,
  | "entrypoint"
  | "command"
  | "environment"
  | "workingDirectory"
  | "user"
  | "hostname"
  | "domainname"
  | "stopSignal"
  | "stopTimeoutSeconds"
>;

/** Entrypoint and Cmd stay null when they are absent: the image's then hold; a list, empty or not, is the user's. */
function readProcess(config: JsonObject): ProcessFields {
  const workingDirectory = config.string("WorkingDir");
  if (workingDirectory !== "" && !workingDirectory.startsWith("/")) {
    throw invalidArgument(
      `the working directory '${workingDirectory}' is invalid, it needs to be an absolute path`,
    );
  }
  const stopSignal = config.string("StopSignal");
  if (stopSignal !== "") signalNumber(stopSignal);
  return {
    entrypoint: config.stringsOrOne("Entrypoint"),
    command: config.stringsOrOne("Cmd"),
    environment: readEnvironment(config.strings("Env")),
    workingDirectory,
    user: config.string("User"),
    hostname: config.string("Hostname"),
    domainname: config.string("Domainname"),
    stopSignal,
    stopTimeoutSeconds: config.integerOrNull("StopTimeout"),
  };
}

function readEnvironment(environment: string[]): string[] {
  for (const variable of environment) {
    if (variable === "" || variable.startsWith("=")) {
      throw invalidArgument(`invalid environment variable: ${variable}`);
    }
  }
  return environment;
}

type StreamFields = Pick<
  ContainerSpec,
  "tty" | "openStdin" | "stdinOnce" | "attachStdin" | "attachStdout" | "attachStderr"
>;

function readStreams(config: JsonObject): StreamFields {
  return {
    tty: config.boolean("Tty"),
    openStdin: config.boolean("OpenStdin"),
    stdinOnce: config.boolean("StdinOnce"),
    attachStdin: config.boolean("AttachStdin"),
    attachStdout: config.boolean("AttachStdout"),
    attachStderr: config.boolean("AttachStderr"),
  };
}

type SecurityFields = Pick<
  ContainerSpec,
  "readOnlyRootfs" | "privileged" | "capAdd" | "capDrop" | "securityOptions" | "groupAdd"
>;

function readSecurity(hostConfig: JsonObject): SecurityFields {
  const securityOptions = hostConfig.strings("SecurityOpt");
  const masked = hostConfig.stringsOrNull("MaskedPaths");
  const readOnly = hostConfig.stringsOrNull("ReadonlyPaths");
  // One empty list alone would unmask half of it; others than the usual ones are refused before.
  if ((masked?.length === 0) !== (readOnly?.length === 0)) {
    throw new TiffinError(
      "not-implemented",
      "Cannot create container: MaskedPaths and ReadonlyPaths can only be given together yet",
      { hint: `Use --security-opt ${unmaskedPaths}` },
    );
  }
  const isUnmasked =
    masked?.length === 0 && readOnly?.length === 0 && !securityOptions.includes(unmaskedPaths);
  return {
    readOnlyRootfs: hostConfig.boolean("ReadonlyRootfs"),
    privileged: hostConfig.boolean("Privileged"),
    capAdd: hostConfig.strings("CapAdd").map(capability),
    capDrop: hostConfig.strings("CapDrop").map(capability),
    securityOptions: isUnmasked ? [...securityOptions, unmaskedPaths] : securityOptions,
    groupAdd: hostConfig.strings("GroupAdd"),
  };
}

/** `net_admin`, `CAP_NET_ADMIN` -> `CAP_NET_ADMIN`; `all` -> `ALL`, as docker keeps them. */
function capability(name: string): string {
  const upper = name.toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_")
    ? upper.replace(/^CAP_ALL$/, "ALL")
    : `CAP_${upper}`;
}

function readDevice(device: JsonObject): DeviceSpec {
  const hostPath = device.string("PathOnHost");
  const containerPath = device.string("PathInContainer") || hostPath;
  const access = device.string("CgroupPermissions") || "rwm";
  if (!/^[rwm]{1,3}$/.test(access)) throw invalidArgument(`invalid device mode: ${access}`);
  if (!hostPath.startsWith("/") || !containerPath.startsWith("/")) {
    throw invalidArgument(`invalid device specification: ${hostPath}:${containerPath}`);
  }
  return { hostPath, containerPath, access };
}

function readUlimit(ulimit: JsonObject): Ulimit {
  return {
    name: ulimit.string("Name"),
    soft: ulimit.integer("Soft"),
    hard: ulimit.integer("Hard"),
  };
}

/** `80` is `80/tcp`. */
function exposedPort(port: string): string {
  const match = /^(\d{1,5}(?:-\d{1,5})?)(?:\/(tcp|udp|sctp))?$/i.exec(port);
  const range = match?.[1];
  if (
    match === null ||
    range === undefined ||
    range.split("-").some((end) => Number(end) > 65535)
  ) {
    throw invalidArgument(`invalid port specification: "${port}"`);
  }
  return `${range}/${(match[2] ?? "tcp").toLowerCase()}`;
}

function readShmBytes(hostConfig: JsonObject): number {
  const bytes = hostConfig.integer("ShmSize");
  if (bytes < 0) throw invalidArgument("SHM size can not be less than 0");
  return bytes;
}

const restartPolicies: readonly string[] = ["", "no", "always", "on-failure", "unless-stopped"];

/** @throws invalid-argument, in docker's words */
export function readRestartPolicy(hostConfig: JsonObject): ContainerSpec["restartPolicy"] {
  const restartPolicy = hostConfig.object("RestartPolicy");
  const policy = restartPolicy.string("Name");
  if (!restartPolicies.includes(policy)) {
    throw invalidArgument(
      `invalid restart policy: unknown policy '${policy}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  const retries = restartPolicy.integer("MaximumRetryCount");
  if (policy === "on-failure" && retries < 0) {
    throw invalidArgument("invalid restart policy: maximum retry count cannot be negative");
  }
  if (policy !== "on-failure" && retries !== 0) {
    const more = retries < 0 ? " and cannot be negative" : "";
    throw invalidArgument(
      `invalid restart policy: maximum retry count can only be used with 'on-failure'${more}`,
    );
  }
  return { name: policy || "no", maximumRetryCount: retries };
}

function readAnnotations(
  config: JsonObject,
  annotations: Record<string, string>,
): Pick<
  ContainerSpec,
  | "annotations"
  | "timeOffsetSeconds"
  | "networkRate"
  | "healthcheck"
  | "onUnhealthy"
  | "longestRunMs"
> {
  const {
    [timeOffsetAnnotation]: offset = "0",
    [netRateAnnotation]: rate = "0",
    ...rest
  } = annotations;
  if (!/^-?\d{1,12}(\.\d{1,9})?$/.test(offset)) {
    throw invalidArgument(`invalid ${timeOffsetAnnotation} "${offset}": want a number of seconds`);
  }
  const ours: readonly string[] = Object.values(lifeAnnotations);
  const others = Object.entries(rest).filter(([name]) => !ours.includes(name));
  return {
    annotations: Object.fromEntries(others),
    timeOffsetSeconds: Number(offset),
    networkRate: parseNetworkRate(rate),
    ...readLife(config, rest),
  };
}
