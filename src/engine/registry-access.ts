import type { Credentials } from "../registry/credentials.ts";
import { readRegistrySettings } from "../registry/host-settings.ts";
import type { RegistryAccess } from "../registry/registry-access.ts";

/** Settings of registries, for the machine (docs/reference/registries.md). */
const SETTINGS_FILE = "/etc/tiffin/registries.json";

/**
 * How registries are reached now: the settings are read again each time, so that a change needs no new engine. The client gave
 * the credentials for the one registry that it asked for.
 *
 * @throws invalid-argument for mistakes in the settings
 */
export function registryAccess(credentials: Credentials | undefined): RegistryAccess {
  const { TIFFIN_REGISTRIES: file = SETTINGS_FILE } = process.env;
  return {
    settings: readRegistrySettings(file),
    credentials: async () => credentials,
    environment: process.env,
  };
}
