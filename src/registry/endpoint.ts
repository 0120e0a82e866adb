import { DEFAULT_DOMAIN } from "../base/reference.ts";
import type { HostSettings, RegistrySettings } from "./host-settings.ts";

/** One host that speaks the distribution protocol. */
export interface Endpoint {
  /** `https://registry-1.docker.io`: what `/v2/…` is appended to. */
  readonly base: string;
  /** Host and port of `base`: what settings and credentials are found by. */
  readonly host: string;
  /** True for a mirror: read from, never written to. */
  readonly isMirror: boolean;
  readonly settings: HostSettings;
}

const NO_SETTINGS: HostSettings = { mirrors: [], plainHttp: false, skipVerification: false };
/** Docker Hub's registry is not at the domain that its names have. */
const DOCKER_HUB_HOST = "registry-1.docker.io";

/** Where a registry's images are read from, in the order to try; the last is the registry itself, and written to. */
export function endpointsOf(domain: string, settings: RegistrySettings): Endpoint[] {
  const own = settings.get(domain) ?? NO_SETTINGS;
  const mirrors = own.mirrors.map((base): Endpoint => {
    const host = new URL(base).host;
    return { base, host, isMirror: true, settings: settings.get(host) ?? NO_SETTINGS };
  });
  const host = domain === DEFAULT_DOMAIN ? DOCKER_HUB_HOST : domain;
  const hasTls = own.authority !== undefined || own.skipVerification;
  const scheme = own.plainHttp || (isLoopback(domain) && !hasTls) ? "http" : "https";
  return [...mirrors, { base: `${scheme}://${host}`, host, isMirror: false, settings: own }];
}

/** Docker talks plain HTTP to registries on the loopback interface; one with an authority of its own has TLS. */
function isLoopback(domain: string): boolean {
  const name = domain.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return name === "localhost" || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}
