import { connect, createServer, type Socket } from "node:net";
import type { ForwardTarget, Listener } from "./port-forwarder.ts";

/** Takes connections to a port of the host and passes them on, each end closed when the other's is. */
export function forwardTcp(
  { host, port }: { host: string; port: number },
  target: ForwardTarget,
  onError: (error: Error) => void,
): Listener {
  const server = createServer({ allowHalfOpen: true }, (client) => passOn(client, target));
  server.on("error", onError);
  server.listen({ host, port, ipv6Only: host.includes(":") });
  return { close: () => void server.close() };
}

/** Connects to the first address that answers; a client that none answers is told by the end of its connection. */
function passOn(client: Socket, { addresses, port }: ForwardTarget): void {
  const [host, ...others] = addresses;
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
    else passOn(client, { addresses: others, port });
  });
  server.once("close", () => {
    if (isConnected) client.destroySoon();
  });
}
