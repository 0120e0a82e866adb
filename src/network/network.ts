/**
 * Networks: namespaces joined by bridges, with addresses, ways out and published ports (docs/guide/networks.md). This room decides what
 * is to be done, as data, and knows the host's side; who is in which network is the engine's (src/engine/networks/network-state.ts).
 *
 * network.ts              what a network, an endpoint and a published port are
 * subnet.ts choose-subnet.ts complete-pool.ts address-allocator.ts    addresses
 * link-operations.ts      interfaces of a start, as operations of its plan (rtnetlink, rtnetlink(7))
 * link-rate.ts            how fast they may be (tc)
 * host-network.ts         the host's bridges, routes and settings
 * firewall-policy.ts firewall.ts admission.ts port-elements.ts    the nf_tables tables, and what goes into them
 * firewall-lack.ts        what is missing there
 * published-ports.ts host-port.ts    which ports, and who has them
 * port-forwarder.ts       ::1, and all ports where there is no nf_tables
 */

export type NetworkDriver = "bridge" | "macvlan" | "host" | "null";

/** A subnet of a network, as texts: what a user asked for, completed. */
export interface AddressPool {
  /** `10.213.7.0/24` */
  readonly subnet: string;
  /** On a bridge the host's own address there; of a macvlan the router's. "": none. */
  readonly gateway: string;
  /** What containers get their addresses from; "": all of the subnet. */
  readonly range: string;
  /** Addresses of others, by name: never given to a container. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface Network {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly driver: NetworkDriver;
  /** One of each address family at the most. */
  readonly pools: readonly AddressPool[];
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Nothing goes out or comes in. */
  readonly internal: boolean;
  readonly attachable: boolean;
  /** bridge, host and none: they are there without being made, and stay. */
  readonly predefined: boolean;
}

/** What a container has in a network while it runs. */
export interface Endpoint {
  readonly id: string;
  readonly networkId: string;
  /** `eth0` */
  readonly interfaceName: string;
  /** Its index inside. */
  readonly interfaceIndex: number;
  /** The other end, on the host; "" for a macvlan. */
  readonly hostInterface: string;
  readonly hostIndex: number;
  readonly mac: string;
  /** "": it has none of that family. */
  readonly ipv4: string;
  readonly ipv4PrefixLength: number;
  readonly ipv6: string;
  readonly ipv6PrefixLength: number;
  /** Where the network leads out; "" when it does not. */
  readonly gateway4: string;
  readonly gateway6: string;
  /** The container's default routes go through this one. */
  readonly isDefault: boolean;
}

export type Protocol = "tcp" | "udp" | "sctp";

/** Bits a second of packets to and from an interface; 0: as fast as can be. */
export interface LinkRate {
  readonly down: number;
  readonly up: number;
  /** Where uploads queue: one who may change the queues of his own interfaces does not queue there. */
  readonly upAt: "container" | "host";
}

/** Ports of the host that lead to a container: `count` of them, each to the container port as far behind the first. */
export interface PublishedPort {
  readonly protocol: Protocol;
  /** 0.0.0.0 and :: are all of the host's. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly count: number;
}

/** A running container's part in networks: kept in its run directory, so that the next engine finds it. */
export interface Attachment {
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}
