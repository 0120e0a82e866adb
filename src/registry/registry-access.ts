import type { FindCredentials } from "./credentials.ts";
import type { RegistrySettings } from "./host-settings.ts";
import type { RetryPolicy } from "./retry.ts";

/** How this machine and this user get to registries. */
export interface RegistryAccess {
  readonly settings: RegistrySettings;
  readonly credentials: FindCredentials;
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly retries?: RetryPolicy;
  /** Called with the identity token of a token server that gives one for a password; it is asked for one only then. */
  readonly onIdentity?: (token: string) => void;
}
