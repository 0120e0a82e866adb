import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TiffinError } from "../../base/error.ts";
import { HOST_NAMES } from "../../network/dns-names.ts";
import {
  extraEntry,
  formatEntry,
  formatHosts,
  type HostsEntry,
  ownNames,
} from "../../network/hosts-file.ts";
import type { Endpoint } from "../../network/network.ts";
import {
  containerResolver,
  formatResolvConf,
  isLoopback,
  servedResolvConf,
} from "../../network/resolv-conf.ts";
import { containerDirectories } from "../container-directories.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";
import { hasOwnNetworks, networkName, requestedNetworks } from "./container-networks.ts";

/**
 * Writes a container's hosts, hostname and resolv.conf for the networks that it is in now, and those of running containers whose files
 * speak of it. In place: they are mounted in the container.
 * @throws conflict: a linked container does not run
 */
export function writeNameFiles(context: EngineContext, container: StoredContainer): void {
  writeOwnFiles(context, container);
  for (const other of context.containers.all()) {
    const concerns =
      other.spec.networkMode === `container:${container.id}` ||
      linksOf(other).some(({ name }) => findLinked(context, name)?.id === container.id);
    if (other.id !== container.id && concerns && isRunning(other)) writeOwnFiles(context, other);
  }
}

function writeOwnFiles(context: EngineContext, container: StoredContainer): void {
  const { files } = containerDirectories(context.places, container.id);
  const target = joinedContainer(context, container);
  const from = target && containerDirectories(context.places, target.id).files;
  const joined = (name: string): string => readFileSync(join(String(from), name), "utf8");
  write(join(files, "hostname"), `${container.spec.hostname}\n`);
  write(join(files, "hosts"), from === undefined ? hosts(context, container) : joined("hosts"));
  write(
    join(files, "resolv.conf"),
    from === undefined ? resolvConf(context, container) : joined("resolv.conf"),
  );
}

/** A file that says it already is left alone. */
function write(path: string, text: string): void {
  if (readText(path) !== text) writeFileSync(path, text);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It is not there yet.
    return undefined;
  }
}

function joinedContainer(
  { containers }: EngineContext,
  { spec: { networkMode } }: StoredContainer,
): StoredContainer | undefined {
  return networkMode.startsWith("container:")
    ? containers.find(networkMode.slice("container:".length))
    : undefined;
}

/** Whether a container asks the engine for names: in a network of the user's, and where the host's servers are on its loopback alone. */
export function isServedNames(context: EngineContext, { spec }: StoredContainer): boolean {
  if (!hasOwnNetworks(spec)) return false;
  const { table } = context.networks;
  const isOwn = (name: string): boolean =>
    name !== "bridge" && table.withId(name)?.predefined !== true;
  if (requestedNetworks(spec).some(({ network }) => isOwn(networkName(network)))) return true;
  const { servers } = containerResolver(context.networks.names.hostSettings(), spec.resolver);
  return servers.every(isLoopback);
}

function resolvConf(context: EngineContext, container: StoredContainer): string {
  const { spec } = container;
  const { names } = context.networks;
  const settings = containerResolver(names.hostSettings(), spec.resolver);
  if (isServedNames(context, container)) return servedResolvConf(settings);
  const isAsked = Object.values(spec.resolver).some((list: readonly string[]) => list.length > 0);
  const hasLoopback = hasOwnNetworks(spec) && settings.servers.some(isLoopback);
  if (!isAsked && !hasLoopback) {
    return names.hostFile() || "# The host has no /etc/resolv.conf.\n";
  }
  const servers = hasLoopback
    ? settings.servers.filter((address) => !isLoopback(address))
    : settings.servers;
  return formatResolvConf({ ...settings, servers });
}

function hosts(context: EngineContext, container: StoredContainer): string {
  const { spec, id } = container;
  const { networkMode, extraHosts } = spec;
  if (networkMode === "host") return hostsOfHost(extraHosts);
  const endpoints = context.networks.attachments.get(id)?.endpoints ?? [];
  const way = endpoints.find(({ isDefault }) => isDefault);
  const gateways = way ? [way.gateway4, way.gateway6] : [];
  // Elsewhere the name server knows them.
  const forHost =
    gateways.length === 0 || isServedNames(context, container)
      ? []
      : HOST_NAMES.map((name) => `${name}:host-gateway`);
  const given = extraHosts.map((extra) => extra.slice(0, extra.indexOf(":")));
  return formatHosts([
    ...extraHosts.flatMap((extra) => extraEntry(extra, gateways)),
    ...forHost
      .filter((_, index) => !given.includes(HOST_NAMES[index] ?? ""))
      .flatMap((extra) => extraEntry(extra, gateways)),
    ...linkEntries(context, container),
    ...ownEntries(container, endpoints),
  ]);
}

/** As docker: the host's own file, unless something is to be added. */
function hostsOfHost(extraHosts: readonly string[]): string {
  const own = readText("/etc/hosts") ?? formatHosts([]);
  const ending = own === "" || own.endsWith("\n") ? own : `${own}\n`;
  const added = extraHosts.flatMap((extra) => extraEntry(extra, ["127.0.0.1"]));
  return ending + added.map(formatEntry).join("");
}

function ownEntries({ spec }: StoredContainer, endpoints: readonly Endpoint[]): HostsEntry[] {
  if (spec.hostname === "") return [];
  const names = ownNames(spec.hostname, spec.domainname);
  const addresses = endpoints.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
  const own = addresses.filter((address) => address !== "");
  return (own.length === 0 ? ["127.0.0.1"] : own).map((address) => ({ address, names }));
}

interface Link {
  readonly name: string;
  readonly alias: string;
}

/** Links on the default bridge, which stand in /etc/hosts; those of a user's network are the name server's. */
function linksOf({ spec }: StoredContainer): Link[] {
  if (spec.networkMode !== "default" && spec.networkMode !== "bridge") return [];
  return spec.links.map((link) => {
    const [name = "", alias = name] = link.split(":");
    return { name, alias };
  });
}

function findLinked({ containers }: EngineContext, name: string): StoredContainer | undefined {
  return containers.withName(name) ?? containers.withId(name);
}

function linkEntries(context: EngineContext, container: StoredContainer): HostsEntry[] {
  return linksOf(container).flatMap(({ name, alias }) => {
    const linked = findLinked(context, name);
    const bridge = context.networks.table.withName("bridge");
    const endpoint = context.networks.attachments
      .get(linked?.id ?? "")
      ?.endpoints.find(({ networkId }) => networkId === bridge?.id);
    if (!linked || !endpoint) return [];
    const names = [...new Set([alias, linked.spec.hostname, linked.name])];
    return [endpoint.ipv4, endpoint.ipv6]
      .filter((address) => address !== "")
      .map((address) => ({ address, names }));
  });
}

/** @throws not-found: there is no such container; conflict: it does not run. In docker's words */
export function checkLinks(context: EngineContext, container: StoredContainer): void {
  for (const { name, alias } of linksOf(container)) {
    const linked = findLinked(context, name);
    if (!linked) {
      throw new TiffinError(
        "not-found",
        `could not get container for ${name}: No such container: ${name}`,
      );
    }
    if (!isRunning(linked)) {
      throw new TiffinError(
        "conflict",
        `Cannot link to a non running container: /${linked.name} AS /${container.name}/${alias}`,
        { hint: `Start it first: tiffin start ${linked.name}` },
      );
    }
  }
}
