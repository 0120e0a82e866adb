import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { ForwardTarget, Listener } from "./port-forwarder.ts";

/** A client that is silent for so long is forgotten, as by the kernel (nf_conntrack_udp_timeout_stream). */
const QUIET_MS = 120_000;
/** Each has a descriptor; beyond that the one that has been silent for longest goes. */
const MOST_CLIENTS = 256;

interface Client {
  readonly socket: Socket;
  timer: ReturnType<typeof setTimeout>;
}

/** Passes on what comes to a port of the host, from a socket for each client, and back what is answered there. */
export function forwardUdp(
  { host, port }: { host: string; port: number },
  { addresses, port: targetPort }: ForwardTarget,
  onError: (error: Error) => void,
): Listener {
  const isV6 = host.includes(":");
  const server = createSocket({ type: isV6 ? "udp6" : "udp4", ipv6Only: isV6 });
  const clients = new Map<string, Client>();
  const [target = ""] = preferred(addresses, isV6);
  const forget = (name: string): void => {
    const client = clients.get(name);
    clients.delete(name);
    clearTimeout(client?.timer);
    client?.socket.close();
  };
  const quiet = (name: string): ReturnType<typeof setTimeout> =>
    setTimeout(() => forget(name), QUIET_MS);
  const meet = (name: string, from: RemoteInfo): Client => {
    const [oldest] = clients.keys();
    if (clients.size >= MOST_CLIENTS && oldest !== undefined) forget(oldest);
    const socket = createSocket(target.includes(":") ? "udp6" : "udp4");
    // A port that nobody listens on in the container is the client's to find out, by silence.
    socket.on("error", () => undefined);
    socket.on("message", (data) => server.send(data, from.port, from.address));
    return { socket, timer: quiet(name) };
  };
  server.on("error", onError);
  server.on("message", (data, from) => {
    const name = `${from.address} ${from.port}`;
    const client = clients.get(name) ?? meet(name, from);
    clearTimeout(client.timer);
    client.timer = quiet(name);
    // The last one in the map is the one heard of last.
    clients.delete(name);
    clients.set(name, client);
    client.socket.send(data, targetPort, target);
  });
  server.bind({ address: host, port });
  return {
    close: () => {
      for (const name of clients.keys()) forget(name);
      server.close();
    },
  };
}

/** Of the client's own family, where the container has it. */
function preferred(addresses: readonly string[], isV6: boolean): string[] {
  return addresses.toSorted(
    (one, other) => Number(other.includes(":") === isV6) - Number(one.includes(":") === isV6),
  );
}
