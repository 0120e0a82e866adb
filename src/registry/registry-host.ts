import { isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { Authorizer } from "./authorizer.ts";
import { parseChallenge } from "./challenge.ts";
import type { Endpoint } from "./endpoint.ts";
import { httpFetch } from "./http-fetch.ts";
import type { RegistryAccess } from "./registry-access.ts";
import { registryError, withoutSecrets } from "./registry-error.ts";
import { DEFAULT_RETRIES, Passing, retryAfterMs, withRetries } from "./retry.ts";

const MAX_REDIRECTS = 5;
/** An answer's head comes within this time, or the attempt is given up. */
const HEAD_TIMEOUT_MS = 60_000;
const USER_AGENT = "tiffin";

export interface HostRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/v2/library/debian/manifests/12`, or the whole address of an upload that the registry gave. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob | Uint8Array | string;
  /** `repository:library/debian:pull` */
  readonly scopes: readonly string[];
  /** Statuses that are answers; all others are errors. */
  readonly expected: readonly number[];
  readonly signal?: AbortSignal;
  /** Sending a body again may cost much: then once is all. */
  readonly once?: boolean;
}

/**
 * One host that speaks the distribution protocol: authorization, redirects, and patience with hosts that are busy or gone for
 * a moment. The credentials of a host are sent to that host alone.
 */
export class RegistryHost {
  readonly endpoint: Endpoint;
  readonly #access: RegistryAccess;
  readonly #authorizer: Authorizer;

  constructor(endpoint: Endpoint, access: RegistryAccess) {
    this.endpoint = endpoint;
    this.#access = access;
    this.#authorizer = new Authorizer(endpoint, access);
  }

  /** @throws what {@link registryError} makes of a refusal; unavailable when nothing answers */
  send(request: HostRequest): Promise<Response> {
    const { retries = DEFAULT_RETRIES } = this.#access;
    const policy = request.once === true ? { ...retries, attempts: 1 } : retries;
    return withRetries(() => this.#attempt(request), policy, request.signal);
  }

  async #attempt(request: HostRequest): Promise<Response> {
    const response = await this.#authorized(request);
    if (request.expected.includes(response.status)) return response;
    const address = this.#address(request.target);
    const error = await registryError(response, { method: request.method, address });
    const mayPass = response.status === 429 || response.status >= 500;
    if (!mayPass) throw error;
    throw new Passing(error, retryAfterMs(response.headers.get("retry-after")));
  }

  async #authorized(request: HostRequest): Promise<Response> {
    const first = await this.#exchange(request);
    const field = first.headers.get("www-authenticate");
    const challenge = first.status === 401 && field !== null ? parseChallenge(field) : undefined;
    if (challenge === undefined) return first;
    await first.body?.cancel();
    this.#authorizer.learn(challenge, request.scopes);
    return this.#exchange(request);
  }

  /** Follows redirects of requests that only read; where they lead is another's, who gets no credentials of this host. */
  async #exchange(request: HostRequest): Promise<Response> {
    const authorization = await this.#header(request);
    let address = this.#address(request.target);
    // Also where an upload goes on is the registry's to say, and may be another's.
    const { origin } = new URL(this.endpoint.base);
    for (let hops = 0; ; hops++) {
      const isOwn = new URL(address).origin === origin;
      const secret = authorization !== undefined && isOwn ? { authorization } : {};
      const response = await this.#fetch(address, request, secret);
      const location = response.headers.get("location");
      const isRedirect = [301, 302, 303, 307, 308].includes(response.status);
      const reads = request.method === "GET" || request.method === "HEAD";
      if (!isRedirect || location === null || !reads) return response;
      await response.body?.cancel();
      if (hops === MAX_REDIRECTS) throw redirectError(address, "leads on and on");
      address = redirected(address, location);
    }
  }

  async #header({ scopes, signal }: HostRequest): Promise<string | undefined> {
    try {
      return await this.#authorizer.header(scopes, signal);
    } catch (error) {
      if (isTiffinError(error) || error instanceof Passing) throw error;
      signal?.throwIfAborted();
      const failure = this.#unreachable(error, "the token server");
      throw isAboutSecurity(error) ? failure : new Passing(failure);
    }
  }

  async #fetch(
    address: string,
    { method, headers = {}, body, signal }: HostRequest,
    secret: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), HEAD_TIMEOUT_MS);
    // A body takes as long as it takes to send.
    if (body !== undefined) clearTimeout(timer);
    try {
      return await httpFetch(address, {
        method,
        // The bytes as they are stored: what is packed on the way has another digest.
        headers: {
          "user-agent": USER_AGENT,
          "accept-encoding": "identity",
          ...headers,
          ...secret,
        },
        ...(body === undefined ? {} : { body }),
        signal: signal === undefined ? patience.signal : AbortSignal.any([signal, patience.signal]),
        settings: this.endpoint.settings,
        environment: this.#access.environment,
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (isTiffinError(error)) throw error;
      const failure = this.#unreachable(error);
      // A certificate does not get better by asking again.
      throw isAboutSecurity(error) ? failure : new Passing(failure);
    } finally {
      clearTimeout(timer);
    }
  }

  #address(target: string): string {
    return target.startsWith("/") ? `${this.endpoint.base}${target}` : target;
  }

  #unreachable(cause: unknown, what = ""): TiffinError {
    const { base, host } = this.endpoint;
    const place = what === "" ? base : `${what} of ${base}`;
    const hint = isAboutSecurity(cause)
      ? `Give the registry's authority in the settings of ${host} (docs/reference/registries.md)`
      : "Check the name, the network and the proxy";
    return new TiffinError("unavailable", `Cannot reach ${place}: ${messageOf(cause)}`, {
      cause,
      hint,
    });
  }
}

function isAboutSecurity(error: unknown): boolean {
  const { code = "" } = error as { code?: unknown };
  return /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(String(code));
}

/** Where a redirect leads. From TLS it never leads to plain HTTP. */
function redirected(from: string, location: string): string {
  if (!URL.canParse(location, from)) throw redirectError(from, `leads to ${location}`);
  const url = new URL(location, from);
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  const isDowngrade = from.startsWith("https:") && url.protocol === "http:";
  if (!isWeb || isDowngrade) throw redirectError(from, `leads to ${withoutSecrets(url.href)}`);
  return url.href;
}

function redirectError(from: string, reason: string): TiffinError {
  return new TiffinError("unavailable", `Cannot follow ${withoutSecrets(from)}: it ${reason}`);
}
