import { invalidArgument } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import { asksFor } from "../engine/networks/container-networks.ts";
import type { AddressPool, Network } from "../network/network.ts";
import { readEndpoint } from "./container-networks.ts";
import { type Filters, invalidFilter, parseFilters } from "./filters.ts";
import type { JsonObject } from "./json-object.ts";
import { pruneFilters } from "./prune-filters.ts";
import { type EmptyReply, empty, json, type JsonReply } from "./reply.ts";
import { type ApiRequest, parameter, readJson } from "./request.ts";
import type { Route } from "./router.ts";

export const networkRoutes: readonly Route[] = [
  { method: "GET", path: "/networks", handler: listNetworks },
  { method: "POST", path: "/networks/create", handler: createNetwork },
  { method: "POST", path: "/networks/prune", handler: pruneNetworks },
  { method: "GET", path: "/networks/{name}", handler: inspectNetwork },
  { method: "DELETE", path: "/networks/{name}", handler: removeNetwork },
  { method: "POST", path: "/networks/{name}/connect", handler: connectNetwork },
  { method: "POST", path: "/networks/{name}/disconnect", handler: disconnectNetwork },
  { method: "GET", path: "/tiffin/networks/prune", handler: pruneNetworks },
];

const acceptedFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"];

function listNetworks({ engine, query }: ApiRequest): JsonReply {
  const filters = parseFilters(query.get("filters"), acceptedFilters);
  for (const type of filters.values("type")) {
    if (type !== "builtin" && type !== "custom") throw invalidFilter(`type=${type}`);
  }
  const shown = engine.networks.all().filter((network) => matches(engine, filters, network));
  return json(shown.map((network) => formatNetwork(engine, network, false)));
}

function matches(engine: Engine, filters: Filters, network: Network): boolean {
  const dangling = filters.flag("dangling");
  return (
    filters.exact("driver", network.driver) &&
    filters.prefix("id", network.id) &&
    filters.pattern("name", network.name) &&
    filters.exact("scope", "local") &&
    filters.exact("type", network.predefined ? "builtin" : "custom") &&
    filters.labels("label", network.labels) &&
    (dangling === undefined || isDangling(engine, network) === dangling)
  );
}

/** Docker's dangling networks are those that a user made and no container uses. */
function isDangling(engine: Engine, network: Network): boolean {
  return !network.predefined && !engine.containers().some(({ spec }) => asksFor(spec, network));
}

function inspectNetwork(request: ApiRequest): JsonReply {
  const { engine, query } = request;
  const scope = query.get("scope") ?? "";
  if (!["", "local", "swarm", "global"].includes(scope)) throw invalidFilter(`scope=${scope}`);
  const network = engine.networks.find(parameter(request, "name"));
  return json(formatNetwork(engine, network, true));
}

async function createNetwork(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  if (body.boolean("ConfigOnly") || body.object("ConfigFrom").string("Network") !== "") {
    throw invalidArgument("Cannot create a network from another's configuration: it is for swarms");
  }
  const scope = body.string("Scope");
  if (scope !== "" && scope !== "local") {
    throw invalidArgument(`Cannot create a network of scope ${scope}: it is for swarms`);
  }
  const ipam = body.object("IPAM");
  const driver = ipam.string("Driver");
  if (driver !== "" && driver !== "default")
    throw invalidArgument(`invalid ipam driver: ${driver}`);
  const network = await request.engine.networks.create({
    name: body.string("Name"),
    driver: body.string("Driver"),
    labels: body.stringMap("Labels"),
    options: body.stringMap("Options"),
    ipamOptions: ipam.stringMap("Options"),
    pools: ipam.objects("Config").map(readPool),
    ipv4: body.raw("EnableIPv4") !== false,
    ipv6: body.boolean("EnableIPv6"),
    internal: body.boolean("Internal"),
    attachable: body.boolean("Attachable"),
  });
  return json({ Id: network.id, Warning: "" }, 201);
}

function readPool(config: JsonObject): AddressPool {
  return {
    subnet: config.string("Subnet"),
    gateway: config.string("Gateway"),
    range: config.string("IPRange"),
    auxiliary: config.stringMap("AuxiliaryAddresses"),
  };
}

async function removeNetwork(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.networks.remove(parameter(request, "name"));
  return empty();
}

async function connectNetwork(request: ApiRequest): Promise<EmptyReply> {
  const body = await readJson(request);
  const name = parameter(request, "name");
  const settings = readEndpoint(name, body.object("EndpointConfig"));
  await request.engine.networks.connect(name, body.string("Container"), settings);
  return empty(200);
}

async function disconnectNetwork(request: ApiRequest): Promise<EmptyReply> {
  const body = await readJson(request);
  const force = body.boolean("Force");
  await request.engine.networks.disconnect(parameter(request, "name"), body.string("Container"), {
    force,
  });
  return empty(200);
}

/** `POST /networks/prune`, and our GET, which removes nothing and says what would go. */
async function pruneNetworks(request: ApiRequest): Promise<JsonReply> {
  const { isWanted } = pruneFilters(request);
  const removed = await request.engine.networks.prune(
    ({ labels, createdAt }) => isWanted(labels, createdAt),
    { dryRun: request.method === "GET" },
  );
  return json({ NetworksDeleted: removed.length === 0 ? null : removed });
}

function formatNetwork(engine: Engine, network: Network, isWhole: boolean): object {
  const { driver, pools } = network;
  const options =
    network.predefined && driver === "bridge"
      ? {
          "com.docker.network.bridge.default_bridge": "true",
          "com.docker.network.bridge.enable_icc": "true",
          "com.docker.network.bridge.enable_ip_masquerade": "true",
          "com.docker.network.bridge.name": engine.networks.bridgeName(network),
        }
      : network.options;
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt,
    Scope: "local",
    Driver: driver,
    EnableIPv4: network.ipv4,
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: "default",
      Options: Object.keys(network.ipamOptions).length === 0 ? null : network.ipamOptions,
      Config: pools.map(({ subnet, gateway, range, auxiliary }) => ({
        Subnet: subnet,
        ...(range === "" ? {} : { IPRange: range }),
        ...(gateway === "" ? {} : { Gateway: gateway }),
        ...(Object.keys(auxiliary).length === 0 ? {} : { AuxiliaryAddresses: auxiliary }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: isWhole ? members(engine, network) : {},
    Options: options,
    Labels: network.labels,
  };
}

/** Running containers by ID, with their addresses there. */
function members(engine: Engine, network: Network): Record<string, object> {
  const address = (text: string, prefixLength: number): string =>
    text === "" ? "" : `${text}/${prefixLength}`;
  return Object.fromEntries(
    engine.networks.members(network.id).map(({ containerId, endpoint }) => [
      containerId,
      {
        Name: engine.container(containerId).name,
        EndpointID: endpoint.id,
        MacAddress: endpoint.mac,
        IPv4Address: address(endpoint.ipv4, endpoint.ipv4PrefixLength),
        IPv6Address: address(endpoint.ipv6, endpoint.ipv6PrefixLength),
      },
    ]),
  );
}
