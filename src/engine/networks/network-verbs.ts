import type { FirewallPolicy } from "../../network/firewall-policy.ts";
import type { Attachment, Endpoint, Network, Protocol } from "../../network/network.ts";
import type { PortTrace } from "../../network/port-trace.ts";
import type { EngineContext } from "../context.ts";
import type { NetworkRequest } from "../types.ts";
import { connectNetwork } from "./connect-network.ts";
import { createNetwork, type NetworkCreation } from "./create-network.ts";
import { disconnectNetwork } from "./disconnect-network.ts";
import { pruneNetworks, removeNetwork } from "./remove-network.ts";
import { tracePublishedPort } from "./trace-port.ts";

/** What the engine does with networks. A network is named by its name, its ID or an unambiguous start of that. */
export interface NetworkVerbs {
  /** Oldest first; bridge, host and none among them. */
  all(): Network[];
  /** @throws not-found */
  find(name: string): Network;
  /** @throws already-exists (name), conflict (subnet), invalid-argument, resource-exhausted, permission-denied */
  create(request: NetworkCreation): Promise<Network>;
  /** @throws permission-denied: a container runs in it, or it is predefined */
  remove(name: string): Promise<void>;
  /** Removes those wanted that no running container is in; their names. `dryRun`: only says which. */
  prune(isWanted: (network: Network) => boolean, options: { dryRun: boolean }): Promise<string[]>;
  /** Of a container that runs: at once. @throws permission-denied, conflict, invalid-argument, not-found */
  connect(name: string, container: string, request: Omit<NetworkRequest, "network">): Promise<void>;
  disconnect(name: string, container: string, options: { force: boolean }): Promise<void>;
  /** What a container that runs has in networks. */
  attachment(containerId: string): Attachment | undefined;
  /** Running containers in a network. */
  members(networkId: string): { containerId: string; endpoint: Endpoint }[];
  /** Which way a packet for a port of the host takes. @throws permission-denied */
  trace(asked: { port: number; protocol: Protocol }): PortTrace;
  /** Name of the network's bridge on the host. */
  bridgeName(network: Network): string;
  firewall(): FirewallState;
}

export interface FirewallState {
  /** What was asked for. */
  readonly policy: FirewallPolicy;
  /** What holds. */
  readonly inForce: FirewallPolicy;
  /** Of nf_tables. */
  readonly table: string;
  /** Why nf_tables is not to be had; "": it is. */
  readonly obstacle: string;
}

export function networkVerbs(context: EngineContext): NetworkVerbs {
  const { networks } = context;
  return {
    all: () => networks.table.all(),
    find: (name) => networks.table.find(name),
    create: (request) => createNetwork(context, request),
    remove: (name) => removeNetwork(context, name),
    prune: (isWanted, options) => pruneNetworks(context, isWanted, options),
    connect: (name, container, request) =>
      connectNetwork(context, { name, container, request: { ...request, network: name } }),
    disconnect: (name, container, options) =>
      disconnectNetwork(context, { name, container, force: options.force }),
    attachment: (id) => networks.attachments.get(id),
    members: (id) => networks.membersOf(id),
    trace: (asked) => tracePublishedPort(context, asked),
    bridgeName: (network) => networks.bridgeName(network),
    firewall: () => {
      const { policy, inForce, table, obstacle } = networks.firewall;
      return { policy, inForce, table, obstacle };
    },
  };
}
