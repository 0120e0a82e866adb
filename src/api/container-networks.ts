import { isDeepStrictEqual } from "node:util";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { networkName, plainRequest } from "../engine/networks/container-networks.ts";
import type { ContainerSpec, NetworkRequest } from "../engine/types.ts";
import type { PortBinding } from "../network/published-ports.ts";
import { readLinks, readNames } from "./container-names.ts";
import type { JsonObject } from "./json-object.ts";

type NetworkFields = Pick<
  ContainerSpec,
  "networkMode" | "networks" | "portBindings" | "publishAll" | "resolver" | "extraHosts" | "links"
>;

/** What a create body says of networks and ports: HostConfig, NetworkingConfig, and Config.MacAddress of older clients. */
export function readNetworks(body: JsonObject, hostConfig: JsonObject): NetworkFields {
  const networkMode = readNetworkMode(hostConfig.string("NetworkMode"));
  return {
    networkMode,
    networks: readRequests(body, networkMode),
    portBindings: readBindings(hostConfig.objectOrNull("PortBindings")),
    publishAll: hostConfig.boolean("PublishAllPorts"),
    ...readNames(hostConfig),
  };
}

function readNetworkMode(mode: string): string {
  if (mode === "" || mode === "default") return "default";
  if (mode === "container:") {
    throw invalidArgument("Invalid network mode: invalid container format container:<name|id>");
  }
  return mode;
}

/** null when the body says no more than the mode. */
function readRequests(body: JsonObject, networkMode: string): NetworkRequest[] | null {
  const settings = body.object("NetworkingConfig").object("EndpointsConfig");
  const mac = body.string("MacAddress");
  const isSame = (one: string, other: string): boolean =>
    one === other || (isDefault(one) && isDefault(other));
  const asked = body
    .object("NetworkingConfig")
    .keys("EndpointsConfig")
    .map((name) => readEndpoint(name, settings.object(name)));
  if (["host", "none"].includes(networkMode) || /^(container|ns):/.test(networkMode)) {
    const other = asked.find(({ network }) => network !== networkMode);
    if (!other) return null;
    throw invalidArgument(
      `conflicting options: cannot attach both user-defined and non-user-defined network-modes`,
    );
  }
  const first = asked.find(({ network }) => isSame(network, networkMode));
  const primary = first ?? plainRequest(networkName(networkMode));
  const all = [
    { ...primary, mac: primary.mac === "" ? mac : primary.mac },
    ...asked.filter((one) => one !== first),
  ];
  return all.length === 1 && isPlain(all[0] ?? primary) ? null : all;
}

/** Whether it says no more than the network's name. */
function isPlain(request: NetworkRequest): boolean {
  return isDeepStrictEqual(request, plainRequest(request.network));
}

function isDefault(name: string): boolean {
  return name === "default" || name === "bridge";
}

/** docker's EndpointSettings, as far as a user sets them. */
export function readEndpoint(network: string, settings: JsonObject): NetworkRequest {
  const addresses = settings.object("IPAMConfig");
  for (const [field, option, given] of [
    ["LinkLocalIPs", "--link-local-ip", addresses.strings("LinkLocalIPs")],
  ] as const) {
    if (given.length === 0) continue;
    throw new TiffinError(
      "not-implemented",
      `Cannot join network "${network}": option ${field} (${option}) is not supported yet`,
      { hint: "Leave the option out" },
    );
  }
  return {
    network: isDefault(network) ? "bridge" : network,
    aliases: settings.strings("Aliases"),
    ipv4: addresses.string("IPv4Address"),
    ipv6: addresses.string("IPv6Address"),
    mac: settings.string("MacAddress"),
    driverOptions: settings.stringMap("DriverOpts"),
    links: readLinks(settings.strings("Links")),
    gatewayPriority: settings.integer("GwPriority"),
  };
}

export function readBindings(bindings: JsonObject | null): Record<string, PortBinding[]> {
  if (bindings === null) return {};
  return Object.fromEntries(
    bindings.names().map((port) => {
      const key = /\//.test(port) ? port.toLowerCase() : `${port}/tcp`;
      const list = bindings.objects(port).map((binding) => ({
        hostIp: binding.string("HostIp"),
        hostPort: binding.string("HostPort"),
      }));
      return [key, list];
    }),
  );
}
