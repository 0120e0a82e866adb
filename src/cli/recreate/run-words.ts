import { formatDuration } from "../../base/duration.ts";
import { Fields, type ImageSettings, type InspectedSettings } from "./inspected-settings.ts";
import { mountWord } from "./mount-word.ts";
import { networkWords } from "./network-words.ts";
import { resourceWords } from "./resource-words.ts";
import { shellQuote } from "./shell-quote.ts";
import { each, option, pairs, toggle } from "./words.ts";

const USUAL_SHM_BYTES = 64 << 20;
const TIME_OFFSET = "dev.tiffin.time-offset";
const NET_RATE = "dev.tiffin.net-rate";
const ID_START = 12;

/** The words after `tiffin run`: options, image, command. What the image says by itself is left out. */
export interface RunWords {
  readonly options: readonly string[];
  readonly image: string;
  readonly command: readonly string[];
}

export function runWords(container: InspectedSettings, image: ImageSettings | undefined): RunWords {
  const config = new Fields(container.Config);
  const host = new Fields(container.HostConfig);
  const usual = new Fields(image?.Config);
  const program = programWords(config, usual);
  return {
    options: [
      ...processWords(container, usual),
      ...healthWords(config, usual),
      ...lifeWords(host),
      ...storageWords(config, host, usual),
      ...isolationWords(host),
      ...networkWords(container, usual),
      ...resourceWords(host),
      ...program.options,
    ],
    image: config.text("Image"),
    command: program.command,
  };
}

function without(map: Readonly<Record<string, string>>, usual: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(map).filter(([key, value]) => usual[key] !== value));
}

function unlessUsual(
  name: string,
  field: string,
  [own, usual]: readonly [Fields, Fields],
): string[] {
  return own.text(field) === usual.text(field) ? [] : option(name, own.text(field));
}

function processWords({ Id: id, Config, HostConfig }: InspectedSettings, usual: Fields): string[] {
  const config = new Fields(Config);
  const host = new Fields(HostConfig);
  const both = [config, usual] as const;
  const hostname = config.text("Hostname");
  // Given by the engine: another container has another one.
  const isGiven =
    hostname === id.slice(0, ID_START) ||
    host.text("UTSMode") === "host" ||
    host.text("NetworkMode") === "host" ||
    host.text("NetworkMode").startsWith("container:");
  return [
    ...streamWords(config),
    ...toggle("interactive", config.flag("OpenStdin")),
    ...toggle("tty", config.flag("Tty")),
    ...(isGiven ? [] : option("hostname", hostname)),
    ...option("domainname", config.text("Domainname")),
    ...unlessUsual("user", "User", both),
    ...unlessUsual("workdir", "WorkingDir", both),
    ...each(
      "env",
      config.list("Env").filter((variable) => !usual.list("Env").includes(variable)),
    ),
    ...pairs("label", without(config.map("Labels"), usual.map("Labels"))),
    ...unlessUsual("stop-signal", "StopSignal", both),
    ...(config.isSet("StopTimeout") ? [`--stop-timeout=${config.number("StopTimeout")}`] : []),
  ];
}

function streamWords(config: Fields): string[] {
  const all = ["Stdin", "Stdout", "Stderr"];
  const streams = all.filter((name) => config.flag(`Attach${name}`));
  const usual = config.flag("OpenStdin") ? all : all.slice(1);
  if (streams.length === 0) return ["--detach"];
  if (isSame(streams, usual)) return [];
  return each(
    "attach",
    streams.map((name) => name.toLowerCase()),
  );
}

/** docker's command line has one word for the entrypoint: the others stand first in the command. */
function programWords(config: Fields, usual: Fields): { options: string[]; command: string[] } {
  const [entrypoint, command] = [config.list("Entrypoint"), config.list("Cmd")];
  if (isSame(entrypoint, usual.list("Entrypoint"))) {
    return { options: [], command: isSame(command, usual.list("Cmd")) ? [] : [...command] };
  }
  const [program = "", ...words] = entrypoint;
  return { options: [`--entrypoint=${program}`], command: [...words, ...command] };
}

function isSame(first: readonly string[], second: readonly string[]): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}

function healthWords(config: Fields, usual: Fields): string[] {
  const health = config.object("Healthcheck");
  const imageHealth = usual.object("Healthcheck");
  const [kind, ...words] = health.list("Test");
  if (kind === "NONE") return ["--no-healthcheck"];
  const isImages = isSame(health.list("Test"), imageHealth.list("Test"));
  const times = ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const;
  return [
    ...(isImages || kind === undefined
      ? []
      : option("health-cmd", kind === "CMD" ? shellQuote(words) : words.join(" "))),
    ...times
      .filter((name) => health.number(name) !== imageHealth.number(name))
      .flatMap((name) => option(timeFlag(name), duration(health.number(name)))),
    ...(health.number("Retries") === imageHealth.number("Retries")
      ? []
      : option("health-retries", health.number("Retries"))),
  ];
}

/** `StartPeriod` is `health-start-period`. */
function timeFlag(name: string): string {
  return `health${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function duration(nanoseconds: number): string {
  return nanoseconds === 0 ? "" : formatDuration(BigInt(nanoseconds));
}

function lifeWords(host: Fields): string[] {
  const policy = host.object("RestartPolicy");
  const retries = policy.number("MaximumRetryCount");
  const name = policy.text("Name");
  const log = host.object("LogConfig");
  const { [TIME_OFFSET]: offset, [NET_RATE]: rate, ...annotations } = host.map("Annotations");
  return [
    ...toggle("rm", host.flag("AutoRemove")),
    ...(name === "no" ? [] : option("restart", retries === 0 ? name : `${name}:${retries}`)),
    ...toggle("init", host.flag("Init")),
    ...(log.text("Type") === "cri" ? [] : option("log-driver", log.text("Type"))),
    ...pairs("log-opt", log.map("Config")),
    ...pairs("annotation", annotations),
    ...(offset === undefined ? [] : [`--time-offset=${offset}s`]),
    ...option("net-rate", rate ?? ""),
    ...(host.text("Runtime") === "tiffin" ? [] : option("runtime", host.text("Runtime"))),
  ];
}

function storageWords(config: Fields, host: Fields, usual: Fields): string[] {
  const volumes = config.keys("Volumes").filter((path) => !usual.keys("Volumes").includes(path));
  const shm = host.number("ShmSize");
  return [
    ...each("volume", [...host.list("Binds"), ...volumes]),
    ...each("mount", host.objects("Mounts").map(mountWord)),
    ...each(
      "tmpfs",
      Object.entries(host.map("Tmpfs")).map(([path, options]) =>
        options === "" ? path : `${path}:${options}`,
      ),
    ),
    ...each("volumes-from", host.list("VolumesFrom")),
    ...option("volume-driver", host.text("VolumeDriver")),
    ...toggle("read-only", host.flag("ReadonlyRootfs")),
    ...(shm === USUAL_SHM_BYTES ? [] : option("shm-size", shm)),
  ];
}

function isolationWords(host: Fields): string[] {
  const isPrivileged = host.flag("Privileged");
  const isUnmasked =
    !isPrivileged && host.isSet("MaskedPaths") && host.list("MaskedPaths").length === 0;
  // The usual one of what shares the host's ids depends on the host: then it is said.
  const cgroupns = host.text("CgroupnsMode");
  const isCgroupnsUsual =
    cgroupns === "private" && !isPrivileged && host.text("UsernsMode") !== "host";
  return [
    ...toggle("privileged", isPrivileged),
    ...each("cap-add", host.list("CapAdd")),
    ...each("cap-drop", host.list("CapDrop")),
    ...each(
      "security-opt",
      host.list("SecurityOpt").filter((text) => !isProfile(text)),
    ),
    ...(isUnmasked ? ["--security-opt=systempaths=unconfined"] : []),
    ...each("group-add", host.list("GroupAdd")),
    ...option("pid", host.text("PidMode")),
    ...(host.text("IpcMode") === "private" ? [] : option("ipc", host.text("IpcMode"))),
    ...option("uts", host.text("UTSMode")),
    ...option("userns", host.text("UsernsMode")),
    ...(isCgroupnsUsual ? [] : option("cgroupns", cgroupns)),
    ...pairs("sysctl", host.map("Sysctls")),
  ];
}

/** A system call filter was a file of the client's; the engine has what was in it. */
export function isProfile(securityOption: string): boolean {
  return /^seccomp[=:]\s*\{/.test(securityOption);
}
