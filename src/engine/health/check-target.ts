import { invalidArgument } from "../../base/error.ts";
import { ipVersion } from "../../base/ip-address.ts";

/** Where a check by HTTP or TCP goes to, inside of the container's network namespace. */
export interface CheckTarget {
  /** Tried in this order: an address at which nobody listens is no failure while there is another. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** "" for TCP. */
  readonly path: string;
  /** The Host header. */
  readonly authority: string;
}

const LOOPBACK = ["127.0.0.1", "::1"];

/** `5432`, `:5432`, `10.0.0.2:5432`, `[::1]:5432`. @throws invalid-argument */
export function tcpTarget(text: string): CheckTarget {
  return target(text, "", `--health-tcp ${JSON.stringify(text)}`);
}

/** `:8080/ready`, `8080`, `localhost:8080/ready?x=1`, `http://[::1]:8080/`. @throws invalid-argument */
export function httpTarget(text: string): CheckTarget {
  const what = `--health-http ${JSON.stringify(text)}`;
  if (/^https:/i.test(text)) {
    throw invalidArgument(`Cannot check ${what}: TLS is not spoken`, "Use --health-tcp");
  }
  const plain = text.replace(/^http:\/\//i, "");
  const slash = plain.indexOf("/");
  const path = slash < 0 ? "/" : plain.slice(slash);
  if (!/^[\x21-\x7e]+$/.test(path)) {
    throw invalidArgument(`Cannot check ${what}: the path holds what an URL cannot`);
  }
  return target(slash < 0 ? plain : plain.slice(0, slash), path, what);
}

function target(text: string, path: string, what: string): CheckTarget {
  const [, bracketed, host = bracketed ?? "", digits = ""] =
    /^(?:\[([^\]]*)\]:|([^:[\]]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65535) {
    throw invalidArgument(`Cannot check ${what}: want [ADDRESS]:PORT, PORT from 1 to 65535`);
  }
  const isLoopback = host === "" || host === "localhost";
  if (!isLoopback && ipVersion(host) === 0) {
    throw invalidArgument(
      `Cannot check ${what}: "${host}" is not an IP address`,
      "Leave it out for the container's own loopback address",
    );
  }
  const shown = isLoopback ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return {
    addresses: isLoopback ? LOOPBACK : [host],
    port,
    path,
    authority: `${shown}:${port}`,
  };
}
