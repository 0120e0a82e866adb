import { readFileSync } from "node:fs";
import { messageOf, TiffinError } from "../base/error.ts";
import type { HostSettings } from "./host-settings.ts";
import { proxyFor } from "./proxy.ts";

export interface FetchOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Blob | Uint8Array | string;
  readonly signal?: AbortSignal;
  readonly settings: HostSettings;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * One HTTP request with a host's own security, redirects not followed. The one module that knows how the runtime's fetch is
 * told of certificates and proxies.
 *
 * @throws unavailable when a file of the settings cannot be read; the runtime's error when nothing answers
 */
export function httpFetch(address: string, options: FetchOptions): Promise<Response> {
  const { settings, environment, ...init } = options;
  const url = new URL(address);
  const proxy = proxyFor(url, environment);
  return fetch(url, {
    ...init,
    redirect: "manual",
    // What a registry sends is stored and hashed as it is.
    decompress: false,
    ...(url.protocol === "https:" ? { tls: securityOf(settings) } : {}),
    ...(proxy === undefined ? {} : { proxy }),
  } as RequestInit);
}

interface Security {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

function securityOf(settings: HostSettings): Security {
  const { authority, clientCertificate, clientKey, skipVerification } = settings;
  return {
    rejectUnauthorized: !skipVerification,
    ...(authority === undefined ? {} : { ca: [read(authority)] }),
    ...(clientCertificate === undefined ? {} : { cert: read(clientCertificate) }),
    ...(clientKey === undefined ? {} : { key: read(clientKey) }),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new TiffinError("unavailable", `Cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: "See the settings of registries (docs/reference/registries.md)",
    });
  }
}
