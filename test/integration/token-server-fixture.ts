/** A token server (distribution's "Token Authentication Specification" and its OAuth 2 form): it signs what a real registry checks. */
import { createPrivateKey, createSign, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

export interface TokenServer {
  readonly realm: string;
  /** What was asked: `GET password repository:app:pull`, `POST refresh_token …`. */
  readonly asked: string[];
  close(): Promise<void>;
}

export const USER = "ann";
export const PASSWORD = "s:cret";
const REFRESH_TOKEN = "a-token-that-stands-for-the-password";

/** Starts one that knows one user; nobody gets tokens without access rights. */
export function openTokenServer(files: { certificate: string; key: string }): TokenServer {
  const asked: string[] = [];
  const sign = signer(files);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      const isPost = request.method === "POST";
      const given = isPost ? new URLSearchParams(await request.text()) : url.searchParams;
      const scopes = given
        .getAll("scope")
        .flatMap((scope) => scope.split(" "))
        .filter(Boolean);
      const authorization = request.headers.get("authorization");
      const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;
      const how = isPost ? given.get("grant_type") : authorization === null ? "nobody" : "password";
      asked.push([request.method, how, ...scopes].join(" "));
      const isKnown = isPost
        ? given.get("refresh_token") === REFRESH_TOKEN
        : authorization === basic;
      if (given.get("service") !== "tests") return new Response("", { status: 400 });
      if (!isKnown && (authorization !== null || isPost)) return new Response("", { status: 401 });
      const token = sign(isKnown ? scopes : []);
      const wantsRefresh = isKnown && given.get("offline_token") === "true";
      return Response.json({
        [isPost ? "access_token" : "token"]: token,
        expires_in: 300,
        ...(wantsRefresh ? { refresh_token: REFRESH_TOKEN } : {}),
      });
    },
  });
  return {
    realm: `http://127.0.0.1:${server.port}/token`,
    asked,
    close: async () => server.stop(true),
  };
}

/** A JSON Web Token (RFC 7519), signed with RS256; the header has the certificate. */
function signer(files: { certificate: string; key: string }): (scopes: string[]) => string {
  const certificate = new X509Certificate(readFileSync(files.certificate));
  const key = createPrivateKey(readFileSync(files.key));
  const header = { typ: "JWT", alg: "RS256", x5c: [certificate.raw.toString("base64")] };
  return (scopes) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: "tests",
      sub: USER,
      aud: "tests",
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access: scopes.map((scope) => {
        const [type, name, actions = ""] = scope.split(":");
        return { type, name, actions: actions.split(",") };
      }),
    };
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${createSign("RSA-SHA256").update(text).sign(key).toString("base64url")}`;
  };
}
