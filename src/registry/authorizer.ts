import { TiffinError } from "../base/error.ts";
import { asRecord } from "../images/manifest.ts";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { httpFetch } from "./http-fetch.ts";
import { readJsonBody } from "./read-body.ts";
import type { RegistryAccess } from "./registry-access.ts";
import { registryError, withoutSecrets } from "./registry-error.ts";
import { Passing, retryAfterMs } from "./retry.ts";

/** What the token server says when it says nothing (distribution's "Token Authentication Specification"). */
const DEFAULT_LIFETIME_SECONDS = 60;
/** A token is renewed so long before its end. */
const MARGIN_MS = 10_000;
/** Our name at token servers: they show it to the user. */
const CLIENT_ID = "tiffin";

interface Token {
  readonly value: string;
  readonly expiresAt: number;
}

/** Answers one host's challenges; tokens are kept for as long as they live. */
export class Authorizer {
  readonly #endpoint: Endpoint;
  readonly #access: RegistryAccess;
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;

  constructor(endpoint: Endpoint, access: RegistryAccess) {
    this.#endpoint = endpoint;
    this.#access = access;
  }

  /** The Authorization field for these scopes; undefined while the host has not asked for one. */
  async header(scopes: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === "basic") return this.#basic();
    const given = await this.#credentials();
    if (given?.kind === "access") return `Bearer ${given.token}`;
    const key = scopes.join(" ");
    const known = await this.#tokens.get(key)?.catch(() => undefined);
    if (known !== undefined && known.expiresAt > Date.now()) return `Bearer ${known.value}`;
    const asked = this.#askToken(challenge, scopes, signal);
    this.#tokens.set(key, asked);
    asked.catch(() => this.#tokens.delete(key));
    return `Bearer ${(await asked).value}`;
  }

  /** Learns what the host wants; what was given before was not good enough. */
  learn(challenge: Challenge, scopes: readonly string[]): void {
    this.#challenge = challenge;
    this.#tokens.delete(scopes.join(" "));
  }

  async #basic(): Promise<string | undefined> {
    const credentials = await this.#credentials();
    return credentials?.kind === "password" ? basicField(credentials) : undefined;
  }

  /** A mirror is somebody else: what the user gave was for the registry. */
  async #credentials(): Promise<Credentials | undefined> {
    return this.#endpoint.isMirror ? undefined : this.#access.credentials(this.#endpoint.host);
  }

  async #askToken(
    challenge: Challenge & { scheme: "bearer" },
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = tokenServer(challenge.realm, this.#endpoint);
    const credentials = await this.#credentials();
    const wanted = scopes.length > 0 ? scopes : challenge.scope.split(" ").filter(Boolean);
    const { onIdentity } = this.#access;
    const question = { realm, service: challenge.service, scopes: wanted };
    const request =
      credentials?.kind === "identity"
        ? identityRequest(question, credentials.token)
        : plainRequest(question, {
            credentials: credentials?.kind === "password" ? credentials : undefined,
            wantsIdentity: onIdentity !== undefined,
          });
    const response = await httpFetch(request.address, {
      ...request,
      ...(signal === undefined ? {} : { signal }),
      settings: this.#endpoint.settings,
      environment: this.#access.environment,
    });
    if (!response.ok) {
      const error = await registryError(response, request);
      const mayPass = response.status === 429 || response.status >= 500;
      throw mayPass ? new Passing(error, retryAfterMs(response.headers.get("retry-after"))) : error;
    }
    const answer = await readAnswer(response, request.address);
    const { refresh_token: identity } = answer;
    if (typeof identity === "string" && identity !== "") onIdentity?.(identity);
    return readToken(answer, request.address);
  }
}

export function basicField(credentials: Credentials & { kind: "password" }): string {
  const { user, password } = credentials;
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Secrets go over plain HTTP only where the registry itself is reached so. */
function tokenServer(realm: string, { base }: Endpoint): URL {
  const refuse = (reason: string): TiffinError =>
    new TiffinError("permission-denied", `Cannot log in to ${base}: its token server ${reason}`);
  if (!URL.canParse(realm)) throw refuse(`${JSON.stringify(realm)} is no address`);
  const url = new URL(realm);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse(`is at ${url.protocol}`);
  if (url.protocol === "http:" && base.startsWith("https:")) throw refuse("is not reached by TLS");
  return url;
}

interface TokenRequest {
  readonly address: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Question {
  readonly realm: URL;
  readonly service: string;
  readonly scopes: readonly string[];
}

function plainRequest(
  { realm, service, scopes }: Question,
  {
    credentials,
    wantsIdentity,
  }: {
    readonly credentials: (Credentials & { kind: "password" }) | undefined;
    readonly wantsIdentity: boolean;
  },
): TokenRequest {
  const url = new URL(realm);
  if (service !== "") url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credentials !== undefined) {
    url.searchParams.set("account", credentials.user);
    url.searchParams.set("client_id", CLIENT_ID);
    if (wantsIdentity) url.searchParams.set("offline_token", "true");
  }
  const headers = credentials === undefined ? {} : { authorization: basicField(credentials) };
  return { address: url.href, method: "GET", headers };
}

/** An identity token is a refresh token of OAuth 2 (RFC 6749, section 6). */
function identityRequest({ realm, service, scopes }: Question, token: string): TokenRequest {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    service,
    client_id: CLIENT_ID,
    scope: scopes.join(" "),
    refresh_token: token,
  });
  return {
    address: realm.href,
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: body.toString(),
  };
}

async function readAnswer(
  response: Response,
  address: string,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = asRecord(await readJsonBody(response));
  if (answer !== undefined) return answer;
  const words = `The token server ${withoutSecrets(address)} answered with no JSON`;
  throw new TiffinError("unavailable", words);
}

function readToken(content: Readonly<Record<string, unknown>>, address: string): Token {
  const { token, access_token: accessToken, expires_in: lifetime } = content;
  const value = [token, accessToken].find((text) => typeof text === "string" && text !== "");
  if (typeof value !== "string") {
    throw new TiffinError(
      "unavailable",
      `The token server ${withoutSecrets(address)} answered without a token`,
    );
  }
  const seconds =
    typeof lifetime === "number" && lifetime > 0 ? lifetime : DEFAULT_LIFETIME_SECONDS;
  const lifetimeMs = Math.max(seconds, DEFAULT_LIFETIME_SECONDS) * 1000;
  return { value, expiresAt: Date.now() + lifetimeMs - MARGIN_MS };
}
