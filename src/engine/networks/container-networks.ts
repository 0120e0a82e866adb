import type { Network } from "../../network/network.ts";
import type { EngineContext } from "../context.ts";
import type { ContainerSpec, NetworkRequest } from "../types.ts";

/** A request for a network that says nothing but its name. */
export function plainRequest(network: string): NetworkRequest {
  return {
    network,
    aliases: [],
    ipv4: "",
    ipv6: "",
    mac: "",
    driverOptions: {},
    links: [],
    gatewayPriority: 0,
  };
}

/** Whether a container has networks of its own: not the host's, another container's, or none. */
export function hasOwnNetworks({ networkMode }: ContainerSpec): boolean {
  return !(
    networkMode === "host" ||
    networkMode === "none" ||
    networkMode.startsWith("container:") ||
    networkMode.startsWith("ns:")
  );
}

/** The networks that a container asks for; that of its mode first. */
export function requestedNetworks(spec: ContainerSpec): readonly NetworkRequest[] {
  if (!hasOwnNetworks(spec)) return [];
  return spec.networks ?? [plainRequest(networkName(spec.networkMode))];
}

/** `default` is the bridge that is there. */
export function networkName(mode: string): string {
  return mode === "default" || mode === "" ? "bridge" : mode;
}

/** The same with the networks found. @throws not-found */
export function networksOf(
  context: EngineContext,
  spec: ContainerSpec,
): { request: NetworkRequest; network: Network }[] {
  return requestedNetworks(spec).map((request) => ({
    request,
    network: context.networks.table.find(networkName(request.network)),
  }));
}

/** Whether a container, running or not, asks for a network. */
export function asksFor(spec: ContainerSpec, { id, name }: Network): boolean {
  return requestedNetworks(spec).some(
    ({ network }) => networkName(network) === name || (network !== "" && id.startsWith(network)),
  );
}
