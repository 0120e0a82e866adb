import type { TiffinError } from "../../base/error.ts";
import type { Database } from "../../base/database.ts";
import { AddressAllocator } from "../../network/address-allocator.ts";
import { HostNetwork } from "../../network/host-network.ts";
import type { FirewallPolicy } from "../../network/firewall-policy.ts";
import { PortForwarder } from "../../network/port-forwarder.ts";
import type { Attachment, Endpoint, Network, PublishedPort } from "../../network/network.ts";
import { portElements } from "../../network/port-elements.ts";
import { NetworkTable } from "../../network/network-table.ts";
import type { Places } from "../types.ts";
import { NameService } from "./name-service.ts";
import { Firewall } from "./firewall.ts";

/** An engine in these places has the plain names on the host: `tiffin0`, table `tiffin`. */
const DEFAULT_ROOT = "/var/lib/tiffin";

/**
 * What the engine knows of networks. From here one finds
 * - the networks: `table`; a container's: `attachments.get(id)`, an endpoint for each with the network's ID;
 * - who is in a network: `membersOf(networkId)`, with each one's endpoint;
 * - what a container asked for there (aliases, addresses): `spec.networks` of the container.
 *
 * Attachments are those of running containers: they are in their run directories too (attachment-file.ts).
 */
export class NetworkState {
  readonly table: NetworkTable;
  readonly attachments: Map<string, Attachment> = new Map();
  readonly firewall: Firewall;
  /** What containers are told of names. */
  readonly names: NameService = new NameService();
  readonly forwarder: PortForwarder = new PortForwarder();
  /** The engine's own part in names on the host: "" in the default place. */
  readonly suffix: string;
  private readonly allocators = new Map<string, AddressAllocator[]>();
  private readonly ends: (() => void)[] = [];
  private openHost: HostNetwork | undefined;

  constructor(
    database: Database,
    engineId: string,
    { places, firewall }: { places: Places; firewall: FirewallPolicy },
  ) {
    this.table = new NetworkTable(database, engineId);
    this.suffix = places.root === DEFAULT_ROOT ? "" : `-${engineId.slice(0, 8)}`;
    this.firewall = new Firewall(`tiffin${this.suffix}`, firewall, tellObstacle);
  }

  /** @throws permission-denied and others: the kernel gives no socket for it */
  get host(): HostNetwork {
    return (this.openHost ??= new HostNetwork());
  }

  /** Name of a network's bridge on the host: the user's choice, `tiffin0` for the default one, `tf-ID` for others. */
  bridgeName(network: Network): string {
    const asked = network.options["com.docker.network.bridge.name"];
    if (asked !== undefined && asked !== "") return asked;
    if (!network.predefined) return `tf-${network.id.slice(0, 12)}`;
    return this.suffix === "" ? "tiffin0" : `tiffin${this.suffix}`;
  }

  /** One for each of the network's pools, with what running containers have taken. */
  allocatorsOf(network: Network): AddressAllocator[] {
    const known = this.allocators.get(network.id);
    if (known && known.length === network.pools.length) return known;
    const made = network.pools.map((pool) => new AddressAllocator(pool));
    this.allocators.set(network.id, made);
    return made;
  }

  /** Running containers in a network, with their endpoints there. */
  membersOf(
    networkId: string,
  ): { containerId: string; endpoint: Attachment["endpoints"][number] }[] {
    return [...this.attachments].flatMap(([containerId, { endpoints }]) =>
      endpoints
        .filter((endpoint) => endpoint.networkId === networkId)
        .map((endpoint) => ({ containerId, endpoint })),
    );
  }

  /** Forgets what is known of a network that is gone. */
  forget(networkId: string): void {
    this.allocators.delete(networkId);
  }

  /** Leads a container's ports, and no others, to its endpoint; none: to nowhere any more. Those that stay are led all along. */
  lead(id: string, to?: { endpoint: Endpoint; ports: readonly PublishedPort[] }): void {
    if (!to || to.ports.length === 0) {
      this.firewall.remove(id);
      this.forwarder.close(id);
      return;
    }
    this.firewall.replace(id, portElements(to.endpoint, to.ports));
    this.passOn(id, to.endpoint, to.ports);
  }

  /** What the kernel does not lead, the engine passes on. */
  passOn(id: string, endpoint: Endpoint, ports: readonly PublishedPort[]): void {
    const where = this.firewall.inForce === "none" ? "everywhere" : "loopback";
    this.forwarder.open(id, { endpoint, ports, where });
  }

  onClose(end: () => void): void {
    this.ends.push(end);
  }

  close(): void {
    for (const end of this.ends) end();
    this.names.close();
    this.forwarder.closeAll();
    this.openHost?.close();
    this.firewall.close();
  }
}

function tellObstacle({ message, hint }: TiffinError): void {
  console.error(
    `tiffin: ${message}: the engine passes on what comes for published ports, and containers do not reach other hosts${hint === undefined ? "" : `\n${hint}`}`,
  );
}
