import type { Endpoint } from "../api/client-transport.ts";
import { failure } from "./failure.ts";

/** @throws invalid-argument when the host is neither unix:// nor tcp:// */
export function parseHost(host: string): Endpoint {
  if (host.startsWith("unix://")) return { path: host.slice("unix://".length) };
  const tcp = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d+)\/?$/.exec(host);
  if (tcp !== null) return { host: tcp[1] ?? tcp[2] ?? "", port: Number(tcp[3]) };
  throw failure(
    `tiffin: Cannot parse host ${JSON.stringify(host)}\nhint: Write it as unix:///PATH or tcp://HOST:PORT`,
  );
}
