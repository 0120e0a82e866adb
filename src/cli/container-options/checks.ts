import { ipVersion } from "../../base/ip-address.ts";

/** Docker's checks of single values, in its words: each returns the value to send or throws the reason. */

export function checkEnvironment(
  value: string,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const name = value.split("=", 1)[0] ?? "";
  if (name === "") throw new Error(`invalid environment variable: ${value}`);
  if (value.includes("=")) return value;
  const inherited = environment[name];
  return inherited === undefined ? value : `${name}=${inherited}`;
}

/** `-e NAME` takes the value that NAME has where the command is called. */
export function isInherited(value: string): boolean {
  return !value.includes("=");
}

export function checkLabel(value: string): string {
  const key = (value.split("=", 1)[0] ?? "").replace(/^[ \t]+/, "");
  if (key === "") throw new Error(`invalid label '${value}': empty name`);
  if (/[ \t]/.test(key)) throw new Error(`label '${key}' contains whitespaces`);
  return value;
}

export function checkAttach(value: string): string {
  const stream = value.toLowerCase();
  if (["stdin", "stdout", "stderr"].includes(stream)) return stream;
  throw new Error("valid streams are STDIN, STDOUT and STDERR");
}

const SYSCTLS = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** Only what the kernel keeps per namespace. */
export function checkSysctl(value: string): string {
  const equals = value.indexOf("=");
  const key = value.slice(0, Math.max(equals, 0));
  const isNamespaced = SYSCTLS.has(key) || key.startsWith("net.") || key.startsWith("fs.mqueue.");
  if (key === "" || !isNamespaced) throw new Error(`sysctl '${value}' is not allowed`);
  return value;
}

export function checkIpAddress(value: string): string {
  const address = value.trim();
  if (ipVersion(address) === 0) throw new Error(`IP address is not correctly formatted: ${value}`);
  return address;
}

export function checkDnsSearch(value: string): string {
  const domain = value.replace(/^ +| +$/g, "");
  const isDomain = /^(?:[\w-]+\.)*[\w-]*[a-zA-Z][\w-]*\.?$/.test(domain) && domain.length < 255;
  if (domain !== "." && !isDomain) throw new Error(`${domain} is not a valid domain`);
  return domain === "." ? domain : domain.replace(/\.$/, "");
}

export function checkExtraHost(value: string): string {
  const at = /[:=]/.exec(value)?.index ?? -1;
  const name = value.slice(0, Math.max(at, 0));
  if (name === "") throw new Error(`bad format for add-host: ${JSON.stringify(value)}`);
  const address = value.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (address !== "host-gateway" && ipVersion(address) === 0) {
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return `${name}:${address}`;
}

export function checkLink(value: string): string {
  if (value === "") throw new Error("empty string specified for links");
  if (value.split(":").length > 2) throw new Error(`bad format for links: ${value}`);
  return value;
}

export function checkDeviceRule(value: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(value)) return value;
  throw new Error(`invalid device cgroup format '${value}'`);
}

/** `CPUs` as billionths: `1.5` is 1500000000. */
export function readCpus(value: string): number {
  const match = /^[+-]?(\d+\.?\d*|\.\d+)(?:e([+-]?\d{1,3}))?$/i.exec(value);
  const fraction = /^([+-]?\d+)\/(\d+)$/.exec(value);
  const cpus = fraction === null ? Number(value) : Number(fraction[1]) / Number(fraction[2]);
  if ((match === null && fraction === null) || !Number.isFinite(cpus)) {
    throw new Error(`failed to parse ${value} as a rational number`);
  }
  const nano = Number((cpus * 1e9).toFixed(6));
  if (!Number.isInteger(nano)) throw new Error("value is too precise");
  return nano;
}

export interface UlimitValue {
  readonly Name: string;
  readonly Hard: number;
  readonly Soft: number;
}

const ULIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

/** `nofile=1024:2048`, `core=-1`. */
export function readUlimit(value: string): UlimitValue {
  const equals = value.indexOf("=");
  if (equals < 0) throw new Error(`invalid ulimit argument: ${value}`);
  const name = value.slice(0, equals);
  if (!ULIMITS.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const limits = value.slice(equals + 1).split(":");
  if (limits.length > 2) {
    throw new Error(
      `too many limit value arguments - ${value.slice(equals + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  }
  const [soft = 0, hard = soft] = limits.map(readLimit);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    const how = soft === -1 ? `soft: -1 (unlimited), hard: ${hard}` : `${soft} > ${hard}`;
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${how}`);
  }
  return { Name: name, Hard: hard, Soft: soft };
}

function readLimit(value: string): number {
  if (!/^[+-]?\d+$/.test(value)) {
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return Number(value);
}

/** `PATH:VALUE` with a device's path, as the `--blkio-weight-device` and `--device-read-bps` families take it. */
export function readDevicePair(value: string): { path: string; text: string } {
  const colon = value.indexOf(":");
  if (colon < 1) throw new Error(`bad format: ${value}`);
  const path = value.slice(0, colon);
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${value}`);
  return { path, text: value.slice(colon + 1) };
}
