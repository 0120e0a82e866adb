import { concatenate, type Element } from "../kernel/nftables.ts";
import type { Elements } from "./firewall.ts";
import type { Endpoint, Protocol, PublishedPort } from "./network.ts";
import { addressBytes, parseAddress } from "./subnet.ts";

export const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

export const ANY_ADDRESS = { 4: "0.0.0.0", 6: "::" } as const;

/** What leads the host's ports to a container with this endpoint: one element a port, or for a range that keeps its numbers. */
export function portElements(
  endpoint: Pick<Endpoint, "ipv4" | "ipv6">,
  ports: readonly PublishedPort[],
): Elements {
  const elements = new Map<string, Element[]>();
  const add = (set: string, element: Element): void => {
    const known = elements.get(set);
    if (known) known.push(element);
    else elements.set(set, [element]);
  };
  for (const port of ports) {
    const host = parseAddress(port.hostIp);
    const target = host.version === 4 ? endpoint.ipv4 : endpoint.ipv6;
    if (target === "") continue;
    const to = addressBytes(parseAddress(target));
    const { hostPort, containerPort, count } = port;
    if (hostPort === containerPort && count > 1) {
      add(`ranges${host.version}`, { ...key(port, hostPort, hostPort + count - 1), value: to });
      continue;
    }
    for (let index = 0; index < count; index++) {
      add(`ports${host.version}`, {
        ...key(port, hostPort + index, hostPort + index),
        value: concatenate(to, portBytes(containerPort + index)),
      });
    }
  }
  return elements;
}

function key(
  { protocol, hostIp }: PublishedPort,
  first: number,
  last: number,
): Required<Pick<Element, "key" | "keyEnd">> {
  const number = Uint8Array.of(PROTOCOL_NUMBER[protocol]);
  const from = addressBytes(parseAddress(hostIp));
  const isAny = hostIp === ANY_ADDRESS[4] || hostIp === ANY_ADDRESS[6];
  const to = isAny ? from.map(() => 255) : from;
  return {
    key: concatenate(number, from, portBytes(first)),
    keyEnd: concatenate(number, to, portBytes(last)),
  };
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255);
}
