import { invalidArgument, isTiffinError, messageOf, type TiffinError } from "../../base/error.ts";
import type { Network } from "../../network/network.ts";
import { validateBindings } from "../../network/published-ports.ts";
import { contains, parseAddress, parseSubnet } from "../../network/subnet.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec, NetworkRequest } from "../types.ts";
import { hasOwnNetworks, networksOf } from "./container-networks.ts";
import { checkRate } from "./limit-rate.ts";

/**
 * Refuses at create what a container could not have in its networks.
 * @throws invalid-argument, also for a network that is not there: "not found" would make docker's client pull the image
 */
export function checkRequests(context: EngineContext, spec: ContainerSpec): void {
  validateBindings(spec.portBindings);
  const isShared = spec.networkMode.startsWith("container:");
  if (isShared && (Object.keys(spec.portBindings).length > 0 || spec.publishAll)) {
    throw invalidArgument(
      "conflicting options: port publishing and the container type network mode",
    );
  }
  if (!hasOwnNetworks(spec)) {
    checkRate(context, spec);
    return;
  }
  for (const { network, request } of findNetworks(context, spec)) {
    if (network.driver === "host" || network.driver === "null") {
      throw invalidArgument(
        `Cannot use network "${network.name}" beside others: it is no network of its own`,
      );
    }
    checkRequest(network, request);
  }
  checkRate(context, spec);
}

function findNetworks(context: EngineContext, spec: ContainerSpec): ReturnType<typeof networksOf> {
  try {
    return networksOf(context, spec);
  } catch (error) {
    if (isTiffinError(error, "not-found")) throw asInvalid(error);
    throw error;
  }
}

function asInvalid(error: TiffinError): TiffinError {
  return invalidArgument(messageOf(error), error.hint);
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** @throws invalid-argument in docker's words */
export function checkRequest(network: Network, request: NetworkRequest): void {
  const { aliases, ipv4, ipv6, mac } = request;
  if (network.predefined && aliases.length > 0) {
    throw invalidArgument(
      "network-scoped alias is supported only for containers in user defined networks",
    );
  }
  if (network.predefined && (ipv4 !== "" || ipv6 !== "")) {
    throw invalidArgument("user specified IP address is supported on user defined networks only");
  }
  if (mac !== "" && !MAC.test(mac)) throw invalidArgument(`invalid MAC address: ${mac}`);
  for (const [address, version] of [
    [ipv4, 4],
    [ipv6, 6],
  ] as const) {
    if (address === "") continue;
    const parsed = parseAddress(address);
    if (parsed.version !== version)
      throw invalidArgument(`invalid IPv${version} address: ${address}`);
    if (!network.pools.some(({ subnet }) => contains(parseSubnet(subnet), parsed))) {
      throw invalidArgument(`no configured subnet or ip-range contain the IP address ${address}`);
    }
  }
}
