import { concatenate, type Element } from "../kernel/nftables.ts";
import type { Elements } from "./firewall.ts";
import type { Endpoint, Protocol, PublishedPort } from "./network.ts";
import { addressBytes, parseAddress } from "./subnet.ts";

export const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

export const ANY_ADDRESS = { 4: "0.0.0.0", 6: "::" } as const;

/**
 * What leads the host's ports to a container with this endpoint: one element a port, or for a range that keeps its numbers. A port
 * of any address is in another map than one of a certain address.
 */
export function portElements(
  endpoint: Pick<Endpoint, "ipv4" | "ipv6">,
  ports: readonly PublishedPort[],
): Elements {
  const elements = new Map<string, Element[]>();
  const places = new Map<string, Place | undefined>();
  for (const port of ports) {
    const { hostIp, hostPort, containerPort, count } = port;
    if (!places.has(hostIp)) places.set(hostIp, placeOf(hostIp, endpoint));
    const place = places.get(hostIp);
    if (!place) continue;
    const isRange = hostPort === containerPort && count > 1;
    const kind = place.isAny ? "open" : "ports";
    const set = `${isRange ? "ranges" : kind}${place.version}`;
    const list = elements.get(set) ?? [];
    elements.set(set, list);
    if (isRange) list.push(rangeElement(place, port));
    else for (let index = 0; index < count; index++) list.push(portElement(place, port, index));
  }
  return elements;
}

/** An address of the host's, and the container's of its family. */
interface Place {
  readonly version: 4 | 6;
  readonly isAny: boolean;
  readonly host: Uint8Array;
  readonly container: Uint8Array;
}

function placeOf(hostIp: string, endpoint: Pick<Endpoint, "ipv4" | "ipv6">): Place | undefined {
  const address = parseAddress(hostIp);
  const { version } = address;
  const target = version === 4 ? endpoint.ipv4 : endpoint.ipv6;
  if (target === "") return undefined;
  const isAny = hostIp === ANY_ADDRESS[version];
  const container = addressBytes(parseAddress(target));
  return { version, isAny, host: addressBytes(address), container };
}

function portElement(place: Place, port: PublishedPort, index: number): Element {
  const protocol = protocolBytes(port);
  const number = portBytes(port.hostPort + index);
  return {
    key: place.isAny ? concatenate(protocol, number) : concatenate(protocol, place.host, number),
    value: concatenate(place.container, portBytes(port.containerPort + index)),
  };
}

function rangeElement({ isAny, host, container }: Place, port: PublishedPort): Element {
  const protocol = protocolBytes(port);
  const { hostPort, count } = port;
  return {
    key: concatenate(protocol, host, portBytes(hostPort)),
    keyEnd: concatenate(
      protocol,
      isAny ? host.map(() => 255) : host,
      portBytes(hostPort + count - 1),
    ),
    value: container,
  };
}

function protocolBytes({ protocol }: PublishedPort): Uint8Array {
  return Uint8Array.of(PROTOCOL_NUMBER[protocol]);
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255);
}
