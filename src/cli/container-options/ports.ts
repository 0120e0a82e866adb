import { ipVersion } from "../../base/ip-address.ts";

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

/** Config.ExposedPorts and HostConfig.PortBindings, both by `80/tcp`. */
export interface Ports {
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, PortBinding[]>;
}

const PROTOCOLS = ["tcp", "udp", "sctp"];

/**
 * `--publish` ([IP:][HOST:]CONTAINER[/PROTO], with ranges, or target=…,published=…) and `--expose`.
 *
 * @throws in docker's words
 */
export function parsePorts(publish: readonly string[], expose: readonly string[]): Ports {
  const ports: Ports = { exposed: {}, bindings: {} };
  for (const text of publish) addPublished(ports, toShortForm(text));
  for (const text of expose) {
    if (text.includes(":")) throw new Error(`invalid port format for --expose: ${text}`);
    const { port, protocol } = splitProtocol(text);
    const [start, end] = exposedRange(text, port);
    for (let number = start; number <= end; number += 1)
      ports.exposed[`${number}/${protocol}`] ??= {};
  }
  return ports;
}

function exposedRange(text: string, port: string): [number, number] {
  try {
    return parseRange(port);
  } catch (error) {
    throw new Error(
      `invalid range format for --expose: ${text}, error: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

function toShortForm(text: string): string {
  if (!text.includes("=")) return text;
  const fields: Record<string, string> = { protocol: "tcp" };
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    if (equals < 1) {
      throw new Error(`invalid publish opts format (should be name=value but got '${field}')`);
    }
    fields[field.slice(0, equals)] = field.slice(equals + 1);
  }
  return `${fields["published"] ?? ""}:${fields["target"] ?? ""}/${fields["protocol"] ?? ""}`;
}

function addPublished(ports: Ports, text: string): void {
  const { ip, host, container } = splitParts(text);
  const { port, protocol } = splitProtocol(container);
  if (ip !== "" && ipVersion(ip) === 0) throw new Error(`invalid IP address: ${ip}`);
  if (port === "") throw new Error(`no port specified: ${text}<empty>`);
  const [start, end] = rangeOr(port, `invalid containerPort: ${port}`);
  const [hostStart, hostEnd] = host === "" ? [0, 0] : rangeOr(host, `invalid hostPort: ${host}`);
  const isOneForRange = end === start && hostEnd > hostStart;
  if (host !== "" && end - start !== hostEnd - hostStart && !isOneForRange) {
    throw new Error(`invalid ranges specified for container and host Ports: ${port} and ${host}`);
  }
  if (!PROTOCOLS.includes(protocol)) throw new Error(`invalid proto: ${protocol}`);
  for (let number = start; number <= end; number += 1) {
    const key = `${number}/${protocol}`;
    ports.exposed[key] ??= {};
    let hostPort = host === "" ? "" : String(hostStart + number - start);
    // One container port and a range of the host's: the engine takes a free one.
    if (isOneForRange) hostPort = `${hostStart}-${hostEnd}`;
    ports.bindings[key] = [...(ports.bindings[key] ?? []), { HostIp: ip, HostPort: hostPort }];
  }
}

/** IPv6 addresses stand in brackets, or are all that comes before the last two colons. */
function splitParts(text: string): { ip: string; host: string; container: string } {
  const parts = text.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  const ip = parts.join(":").replace(/^\[(.*)\]$/, "$1");
  return { ip, host, container };
}

function splitProtocol(text: string): { port: string; protocol: string } {
  const slash = text.indexOf("/");
  if (slash < 0) return { port: text, protocol: "tcp" };
  return { port: text.slice(0, slash), protocol: text.slice(slash + 1).toLowerCase() || "tcp" };
}

function rangeOr(text: string, message: string): [number, number] {
  try {
    return parseRange(text);
  } catch {
    throw new Error(message);
  }
}

function parseRange(text: string): [number, number] {
  if (text === "") throw new Error("empty string specified for ports");
  const dash = text.indexOf("-");
  if (dash < 0) {
    const port = parsePort(text);
    return [port, port];
  }
  const start = parsePort(text.slice(0, dash));
  const end = parsePort(text.slice(dash + 1));
  if (end < start) throw new Error(`invalid range specified for port: ${text}`);
  return [start, end];
}

function parsePort(text: string): number {
  const failed = `strconv.ParseUint: parsing ${JSON.stringify(text)}`;
  if (!/^\d+$/.test(text)) throw new Error(`${failed}: invalid syntax`);
  if (Number(text) > 65_535) throw new Error(`${failed}: value out of range`);
  return Number(text);
}
