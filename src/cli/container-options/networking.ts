import { formatNetworkRate, parseNetworkRate } from "../../base/network-rate.ts";
import { aliasOf, collect, type Flag, list, parsed, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { checkDnsSearch, checkExtraHost, checkIpAddress, checkLink } from "./checks.ts";
import { checkMac, endpoints, type NetworkChoice, parseNetwork, readIp } from "./network.ts";
import { parsePorts } from "./ports.ts";

const ip = { type: "string", initial: "", parse: readIp };

const FLAGS = {
  addHost: list("add-host", "Add a custom host-to-IP mapping (host:ip)", { check: checkExtraHost }),
  dns: list("dns", "Set custom DNS servers", { check: checkIpAddress }),
  dnsOption: list("dns-option", "Set DNS options"),
  dnsSearch: list("dns-search", "Set custom DNS search domains", { check: checkDnsSearch }),
  expose: list("expose", "Expose a port or a range of ports"),
  ip: parsed("ip", "IPv4 address (e.g., 172.30.100.104)", ip),
  ip6: parsed("ip6", "IPv6 address (e.g., 2001:db8::33)", ip),
  link: list("link", "Add link to another container", { check: checkLink }),
  linkLocalIp: list("link-local-ip", "Container IPv4/IPv6 link-local addresses"),
  macAddress: text("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  network: collect<NetworkChoice>("network", "Connect a container to a network", {
    type: "network",
    parse: parseNetwork,
  }),
  netRate: text(
    "net-rate",
    "Limit the rate of each of its network interfaces, in bits a second: DOWN[/UP] (e.g., 20mbit/10mbit, 0 for no limit)",
  ),
  networkAlias: list("network-alias", "Add network-scoped alias for the container"),
  publish: list("publish", "Publish a container's port(s) to the host", { short: "p" }),
  publishAll: toggle("publish-all", "Publish all exposed ports to random ports", { short: "P" }),
} as const;

/** Also of `update`. */
export const NET_RATE_FLAG: Flag<string> = FLAGS.netRate;

/** What docker has no fields for goes as annotations (docs/reference/api.md). @throws invalid-argument */
export function rateAnnotation(given: Arguments): Record<string, string> {
  if (!given.has(FLAGS.netRate)) return {};
  return { "dev.tiffin.net-rate": formatNetworkRate(parseNetworkRate(given.get(FLAGS.netRate))) };
}

/** The options about networks, names and ports. */
export const NETWORKING_FLAGS: readonly Flag[] = [
  ...Object.values(FLAGS),
  aliasOf(FLAGS.dnsOption, "dns-opt"),
  aliasOf(FLAGS.network, "net"),
  aliasOf(FLAGS.networkAlias, "net-alias"),
] as readonly Flag[];

/** Config.ExposedPorts, NetworkingConfig, and their part of HostConfig. @throws in docker's words */
export function networkingConfig(given: Arguments): {
  exposed: Record<string, object>;
  networking: Record<string, unknown>;
  host: Record<string, unknown>;
} {
  const mac = given.get(FLAGS.macAddress);
  if (mac !== "") checkMac(mac);
  const ports = parsePorts(given.get(FLAGS.publish), given.get(FLAGS.expose));
  const networks = given.get(FLAGS.network);
  const links = given.get(FLAGS.link);
  const config = endpoints(networks, {
    aliases: given.get(FLAGS.networkAlias),
    links,
    ipv4: given.get(FLAGS.ip),
    ipv6: given.get(FLAGS.ip6),
    mac,
    linkLocal: given.get(FLAGS.linkLocalIp),
  });
  const extraHosts = given.get(FLAGS.addHost);
  const host = {
    NetworkMode: networks[0]?.target ?? "default",
    PortBindings: ports.bindings,
    PublishAllPorts: given.get(FLAGS.publishAll),
    Dns: given.get(FLAGS.dns),
    DnsOptions: given.get(FLAGS.dnsOption),
    DnsSearch: given.get(FLAGS.dnsSearch),
    ExtraHosts: extraHosts.length === 0 ? null : extraHosts,
    Links: links.length === 0 ? null : links,
  };
  return { exposed: ports.exposed, networking: { EndpointsConfig: config }, host };
}
