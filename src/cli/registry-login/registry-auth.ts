import { DEFAULT_DOMAIN } from "../../base/reference.ts";
import type { World } from "../command.ts";
import { credentialsFor, dockerConfigDirectory, readDockerConfig } from "./docker-config.ts";

/**
 * Docker's X-Registry-Auth for a registry: the user's credentials as JSON in base64 for addresses. No fields when the user has
 * none there.
 *
 * @throws unavailable when a credential helper fails; invalid-argument when config.json cannot be read
 */
export async function registryAuthHeader(
  world: World,
  domain: string,
): Promise<Record<string, string>> {
  const config = readDockerConfig(dockerConfigDirectory(world.environment));
  const credentials = await credentialsFor(config, domain);
  if (credentials === undefined) return {};
  const serveraddress = domain === DEFAULT_DOMAIN ? "https://index.docker.io/v1/" : domain;
  const content =
    credentials.kind === "identity"
      ? { identitytoken: credentials.token, serveraddress }
      : { username: credentials.user, password: credentials.password, serveraddress };
  return { "X-Registry-Auth": Buffer.from(JSON.stringify(content)).toString("base64url") };
}
