import { invalidArgument } from "../base/error.ts";
import type { Credentials } from "../registry/credentials.ts";

/**
 * The credentials in docker's X-Registry-Auth: JSON in base64 for addresses. Undefined when the client has none.
 *
 * @throws invalid-argument
 */
export function registryAuth(field: string): Credentials | undefined {
  if (field === "") return undefined;
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(field, "base64url").toString("utf8"));
  } catch {
    throw invalidArgument("invalid X-Registry-Auth header: it is no JSON in base64");
  }
  return credentialsIn((content ?? {}) as Readonly<Record<string, unknown>>);
}

/** Docker's AuthConfig. */
export function credentialsIn(config: Readonly<Record<string, unknown>>): Credentials | undefined {
  const { username, password, identitytoken: token } = config;
  if (typeof token === "string" && token !== "") return { kind: "identity", token };
  if (typeof username !== "string" || username === "") return undefined;
  return {
    kind: "password",
    user: username,
    password: typeof password === "string" ? password : "",
  };
}
