import { isTiffinError, TiffinError } from "../base/error.ts";
import { endpointsOf } from "./endpoint.ts";
import type { RegistryAccess } from "./registry-access.ts";
import { RegistryHost } from "./registry-host.ts";

/**
 * Asks a registry whether it takes the credentials (distribution-spec v1.1.1, "Determining Support"). Resolves to an identity
 * token, which stands for the password from then on, or to "" where its token server gives none.
 *
 * @throws unauthenticated, unavailable
 */
export async function checkLogin(domain: string, access: RegistryAccess): Promise<string> {
  let identity = "";
  const onIdentity = (token: string): void => {
    identity = token;
  };
  const endpoint = endpointsOf(domain, access.settings).at(-1);
  if (endpoint === undefined) throw new TiffinError("internal", "A registry without a host");
  const host = new RegistryHost(endpoint, { ...access, onIdentity });
  try {
    const response = await host.send({
      method: "GET",
      target: "/v2/",
      scopes: [],
      expected: [200],
    });
    await response.body?.cancel();
    return identity;
  } catch (error) {
    if (!isTiffinError(error, "unauthenticated", "permission-denied")) throw error;
    throw new TiffinError(
      "unauthenticated",
      `Cannot log in to ${domain}: unauthorized: incorrect username or password (${error.message})`,
      { cause: error },
    );
  }
}
