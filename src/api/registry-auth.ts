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

/** Docker's AuthConfig: what stands for more than a password comes first. */
export function credentialsIn(config: Readonly<Record<string, unknown>>): Credentials | undefined {
  const text = (key: string): string => {
    const value = config[key];
    return typeof value === "string" ? value : "";
  };
  if (text("registrytoken") !== "") return { kind: "access", token: text("registrytoken") };
  if (text("identitytoken") !== "") return { kind: "identity", token: text("identitytoken") };
  if (text("username") !== "") {
    return { kind: "password", user: text("username"), password: text("password") };
  }
  const [, user, password] = /^([^:]+):(.*)$/s.exec(decode(text("auth"))) ?? [];
  return user === undefined ? undefined : { kind: "password", user, password: password ?? "" };
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
