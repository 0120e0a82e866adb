import { createHash } from "node:crypto";
import { TiffinError } from "../base/error.ts";
import { neverTime } from "./docker-time.ts";
import { Filters, invalidFilter, parseFilters } from "./filters.ts";
import { json } from "./reply.ts";
import { parameter, type ApiRequest } from "./request.ts";
import type { JsonReply } from "./reply.ts";
import type { Route } from "./router.ts";
import type { EndpointWire } from "./wire.ts";

/** The networks that exist without being made: no network, and the host's. Their drivers are docker's names. */
const builtIn: readonly { readonly name: string; readonly driver: string }[] = [
  { name: "none", driver: "null" },
  { name: "host", driver: "host" },
];

export const networkRoutes: readonly Route[] = [
  { method: "GET", path: "/networks", handler: listNetworks },
  { method: "GET", path: "/networks/{name}", handler: inspectNetwork },
];

const acceptedFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"];

function listNetworks(request: ApiRequest): JsonReply {
  const filters = parseFilters(request.query.get("filters"), acceptedFilters);
  for (const type of filters.values("type")) {
    if (type !== "builtin" && type !== "custom") throw invalidFilter(`type=${type}`);
  }
  const wanted = builtIn.filter(({ name, driver }) =>
    matches(filters, { name, driver, id: networkId(request.engine.id, name) }),
  );
  return json(wanted.map(({ name, driver }) => formatNetwork(request, name, driver)));
}

function matches(
  filters: Filters,
  network: { readonly name: string; readonly driver: string; readonly id: string },
): boolean {
  return (
    filters.exact("driver", network.driver) &&
    filters.prefix("id", network.id) &&
    filters.pattern("name", network.name) &&
    filters.exact("scope", "local") &&
    filters.exact("type", "builtin") &&
    filters.labels("label", {}) &&
    // Docker's dangling networks are those that a user made and no container uses.
    filters.flag("dangling") !== true
  );
}

function inspectNetwork(request: ApiRequest): JsonReply {
  const wanted = parameter(request, "name");
  const found =
    builtIn.find(({ name }) => name === wanted) ??
    builtIn.find(({ name }) => networkId(request.engine.id, name).startsWith(wanted));
  if (found === undefined) throw new TiffinError("not-found", `network ${wanted} not found`);
  return json(formatNetwork(request, found.name, found.driver));
}

function formatNetwork(request: ApiRequest, name: string, driver: string): object {
  return {
    Name: name,
    Id: networkId(request.engine.id, name),
    Created: neverTime,
    Scope: "local",
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  };
}

/** Always the same for an engine: these networks are not stored anywhere. */
function networkId(engineId: string, name: string): string {
  return createHash("sha256").update(`${engineId} network ${name}`).digest("hex");
}

/** The networks that a container is in by its mode: docker's `NetworkSettings.Networks`. */
export function endpointsOf(networkMode: string, engineId: string): Record<string, EndpointWire> {
  if (networkMode.startsWith("container:")) return {};
  // Until there is a bridge, the default is a network namespace without any network.
  const name = networkMode === "host" ? "host" : "none";
  return {
    [name]: {
      IPAMConfig: null,
      Links: null,
      Aliases: null,
      MacAddress: "",
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: networkId(engineId, name),
      EndpointID: "",
      Gateway: "",
      IPAddress: "",
      IPPrefixLen: 0,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      DNSNames: null,
    },
  };
}
