import { messageOf } from "../../../base/error.ts";
import { binarySize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { GoStruct, NilPointer } from "../../go-template/value.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Display system-wide information",
  examples: `# One fact
tiffin info --format '{{.CgroupVersion}}'`,
  flags: [format],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

const BAD_FORMAT_STATUS = 64;

type Info = Readonly<Record<string, unknown>>;

async function run(context: Context): Promise<number> {
  const chosen = context.arguments.get(format);
  if (chosen !== "") return formatInfo(context, chosen);
  let info: Info | undefined;
  let problem: unknown;
  try {
    info = (await context.api.json("GET", "/info")) as Info;
  } catch (error) {
    problem = error;
  }
  const client = [
    "Client:",
    ` Version:    ${context.world.version}`,
    " Context:    default",
    ` Debug Mode: ${context.places.debug}`,
  ];
  await context.print(
    [
      ...client,
      "",
      "Server:",
      ...(info === undefined ? [] : serverLines(info, context.places.debug)),
    ].join("\n"),
  );
  for (const warning of strings(info?.["Warnings"])) await context.warn(warning);
  if (problem !== undefined) throw problem;
  return 0;
}

async function formatInfo(context: Context, chosen: string): Promise<number> {
  const { Template } = await import("../../go-template/template.ts");
  let template: InstanceType<typeof Template>;
  try {
    template = new Template(chosen === "json" ? "{{json .}}" : chosen);
  } catch (error) {
    throw failure(`template parsing error: ${messageOf(error)}`, BAD_FORMAT_STATUS);
  }
  const info = (await context.api.json("GET", "/info")) as Info;
  const clientInfo = new GoStruct("*system.clientInfo", {
    Debug: context.places.debug,
    Version: context.world.version,
    Plugins: [],
    Warnings: null,
  });
  const whole = new GoStruct("system.dockerInfo", {
    ...info,
    ServerErrors: new NilPointer("[]string"),
    ClientInfo: clientInfo,
  });
  const { text: printed, error } = template.runPartly(whole);
  await context.print(printed);
  if (error !== undefined) throw failure(messageOf(error));
  return 0;
}

/** Lines in docker's order; those of one word's value are left out when it is empty. */
function serverLines(info: Info, isDebug: boolean): string[] {
  const line = (label: string, key: string): string[] => {
    const value = info[key];
    return value === undefined || value === null || value === ""
      ? []
      : [` ${label}: ${shown(value)}`];
  };
  return [
    ` Containers: ${shown(info["Containers"])}`,
    `  Running: ${shown(info["ContainersRunning"])}`,
    `  Paused: ${shown(info["ContainersPaused"])}`,
    `  Stopped: ${shown(info["ContainersStopped"])}`,
    ` Images: ${shown(info["Images"])}`,
    ...line("Server Version", "ServerVersion"),
    ...line("Storage Driver", "Driver"),
    ...pairs(info["DriverStatus"]).map(([name, value]) => `  ${name}: ${value}`),
    ...line("Logging Driver", "LoggingDriver"),
    ...line("Cgroup Driver", "CgroupDriver"),
    ...line("Cgroup Version", "CgroupVersion"),
    ...pluginLines(info["Plugins"]),
    ...listLines("CDI spec directories", strings(info["CDISpecDirs"])),
    ` Swarm: ${shown(field(info["Swarm"], "LocalNodeState") ?? "")}`,
    ...runtimeLines(info),
    ` Init Binary: ${shown(info["InitBinary"] ?? "")}`,
    ...securityLines(info["SecurityOptions"]),
    ...line("Kernel Version", "KernelVersion"),
    ...line("Operating System", "OperatingSystem"),
    ...line("OSType", "OSType"),
    ...line("Architecture", "Architecture"),
    ...line("CPUs", "NCPU"),
    ` Total Memory: ${binarySize(Number(info["MemTotal"] ?? 0))}`,
    ...line("Name", "Name"),
    ...line("ID", "ID"),
    ...line("Docker Root Dir", "DockerRootDir"),
    ` Debug Mode: ${shown(info["Debug"] ?? false)}`,
    ...(isDebug || info["Debug"] === true ? debugLines(info) : []),
    ...line("HTTP Proxy", "HttpProxy"),
    ...line("HTTPS Proxy", "HttpsProxy"),
    ...line("No Proxy", "NoProxy"),
    ...listLines("Labels", strings(info["Labels"])),
    ` Experimental: ${shown(info["ExperimentalBuild"] ?? false)}`,
    ...registryLines(info["RegistryConfig"]),
    ` Live Restore Enabled: ${shown(info["LiveRestoreEnabled"] ?? false)}`,
    ...firewallLines(info["FirewallBackend"]),
    "",
  ];
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? 0);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function pairs(value: unknown): [string, string][] {
  return Array.isArray(value) ? (value as [string, string][]) : [];
}

function pluginLines(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const plugins = value as Readonly<Record<string, unknown>>;
  const kinds = ["Volume", "Network", "Authorization", "Log"].filter(
    (kind) => kind !== "Authorization" || strings(plugins[kind]).length > 0,
  );
  return [" Plugins:", ...kinds.map((kind) => `  ${kind}: ${strings(plugins[kind]).join(" ")}`)];
}

function runtimeLines(info: Info): string[] {
  const names = Object.keys(info["Runtimes"] ?? {});
  if (names.length === 0) return [];
  return [` Runtimes: ${names.join(" ")}`, ` Default Runtime: ${shown(info["DefaultRuntime"])}`];
}

/** `name=seccomp,profile=builtin`: the name on a line of its own, the profile below it. */
function securityLines(value: unknown): string[] {
  const options = strings(value);
  if (options.length === 0) return [];
  const lines = options.flatMap((option) => {
    const words = Object.fromEntries(option.split(",").map((word) => word.split(/=(.*)/s)));
    const profile = words["profile"] as string | undefined;
    const name = `  ${(words["name"] as string | undefined) ?? option}`;
    return profile === undefined ? [name] : [name, `   Profile: ${profile}`];
  });
  return [" Security Options:", ...lines];
}

function debugLines(info: Info): string[] {
  return [
    `  File Descriptors: ${shown(info["NFd"])}`,
    `  Goroutines: ${shown(info["NGoroutines"])}`,
    `  System Time: ${shown(info["SystemTime"])}`,
    `  EventsListeners: ${shown(info["NEventsListener"])}`,
  ];
}

function registryLines(config: unknown): string[] {
  const indexes = Object.values((field(config, "IndexConfigs") ?? {}) as Record<string, unknown>);
  const insecure = [
    ...indexes
      .filter((index) => field(index, "Secure") === false)
      .map((index) => shown(field(index, "Name"))),
    ...strings(field(config, "InsecureRegistryCIDRs")),
  ];
  return [
    ...listLines("Insecure Registries", insecure),
    ...listLines("Registry Mirrors", strings(field(config, "Mirrors"))),
  ];
}

function firewallLines(backend: unknown): string[] {
  const driver = field(backend, "Driver");
  if (driver === undefined) return [];
  const more = pairs(field(backend, "Info")).map(([name, value]) => `  ${name}: ${value}`);
  return [` Firewall Backend: ${shown(driver)}`, ...more];
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function listLines(heading: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [` ${heading}:`, ...values.map((value) => `  ${value}`)];
}
