import { connect, createServer, type Server, type Socket } from "node:net";
import type { Endpoint, PublishedPort } from "./network.ts";
import { ANY_ADDRESS } from "./port-elements.ts";

/** Listeners for one container: a large range of ports is not worth a descriptor each. */
const MOST_PORTS = 64;
const LOOPBACK = "::1";

/**
 * Takes connections to published TCP ports at ::1 and passes them on. The kernel leads all other addresses to the container by
 * itself, but routes nothing that comes from ::1. It lives as long as the engine; the next one begins again.
 */
export class LoopbackForwarder {
  /** Of each owner, by where they lead. */
  private readonly servers = new Map<string, Map<string, Server>>();

  /** Makes an owner's listeners those of its ports; the ones that stay are not touched. */
  open(
    owner: string,
    endpoint: Pick<Endpoint, "ipv4" | "ipv6">,
    ports: readonly PublishedPort[],
  ): void {
    const targets = [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== "");
    const pairs = ports
      .filter(({ protocol, hostIp }) => protocol === "tcp" && isLoopback(hostIp))
      .flatMap(({ hostPort, containerPort, count }) =>
        Array.from({ length: Math.min(count, MOST_PORTS) }, (_, index) => ({
          from: hostPort + index,
          to: containerPort + index,
        })),
      )
      .slice(0, MOST_PORTS);
    const known = this.servers.get(owner) ?? new Map<string, Server>();
    const wanted = new Map(
      pairs.map(({ from, to }) => [[from, to, ...targets].join(" "), { from, to }]),
    );
    for (const [name, server] of known) {
      if (!wanted.has(name)) server.close();
    }
    const servers = [...wanted].map(
      ([name, { from, to }]) =>
        [name, known.get(name) ?? listen(from, { targets, port: to })] as const,
    );
    if (servers.length > 0) this.servers.set(owner, new Map(servers));
    else this.servers.delete(owner);
  }

  close(owner: string): void {
    for (const server of this.servers.get(owner)?.values() ?? []) server.close();
    this.servers.delete(owner);
  }

  closeAll(): void {
    for (const owner of this.servers.keys()) this.close(owner);
  }
}

function isLoopback(hostIp: string): boolean {
  return hostIp === ANY_ADDRESS[6] || hostIp === LOOPBACK;
}

interface Target {
  /** Addresses to try, one after the other. */
  readonly targets: readonly string[];
  readonly port: number;
}

function listen(port: number, target: Target): Server {
  const server = createServer({ allowHalfOpen: true }, (client) => passOn(client, target));
  server.on("error", (error) =>
    console.error(`tiffin: port ${port} is not to be reached at ::1:`, error),
  );
  server.listen({ host: LOOPBACK, port });
  return server;
}

/** Connects to the first address that answers; a client that none answers is told by the end of its connection. */
function passOn(client: Socket, { targets, port }: Target): void {
  const [host, ...others] = targets;
  if (host === undefined) {
    client.destroy();
    return;
  }
  const server = connect({ host, port, allowHalfOpen: true });
  const leave = (): void => void server.destroy();
  client.once("close", leave);
  client.on("error", leave);
  let isConnected = false;
  server.once("connect", () => {
    isConnected = true;
    client.pipe(server);
    server.pipe(client);
  });
  server.on("error", () => {
    client.off("close", leave);
    client.off("error", leave);
    if (isConnected) client.destroy();
    else passOn(client, { targets: others, port });
  });
  server.once("close", () => {
    if (isConnected) client.destroySoon();
  });
}
