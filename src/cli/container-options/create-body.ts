import type { Flag } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { HEALTH_FLAGS, healthConfig } from "./health.ts";
import { ISOLATION_FLAGS, isolationConfig } from "./isolation.ts";
import { LIFECYCLE_FLAGS, lifecycleConfig } from "./lifecycle.ts";
import { NETWORKING_FLAGS, networkingConfig } from "./networking.ts";
import { PROCESS_FLAGS, processConfig, type ProcessConfig } from "./process.ts";
import { RESOURCE_FLAGS, resourceConfig } from "./resources.ts";
import { STORAGE_FLAGS, storageConfig } from "./storage.ts";

/**
 * The options of `run` and `create` that say what the container shall be: docker's, and ours (`--time-offset`, `-v …:me`).
 * One file a theme, with its flags and how they go into the API's body.
 */
export const CONTAINER_FLAGS: readonly Flag[] = [
  ...PROCESS_FLAGS,
  ...LIFECYCLE_FLAGS,
  ...STORAGE_FLAGS,
  ...ISOLATION_FLAGS,
  ...NETWORKING_FLAGS,
  ...RESOURCE_FLAGS,
  ...HEALTH_FLAGS,
];

/** The body of POST /containers/create. */
export interface CreateBody extends ProcessConfig {
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/**
 * What the options and operands (image, command) ask for, as the API takes it.
 *
 * @throws an error with the reason, in docker's words
 */
export function createBody(given: Arguments): CreateBody {
  const storage = storageConfig(given);
  const networking = networkingConfig(given);
  return {
    ...processConfig(given),
    ...healthConfig(given),
    ExposedPorts: networking.exposed,
    Volumes: storage.volumes,
    HostConfig: {
      ...lifecycleConfig(given),
      ...storage.host,
      ...isolationConfig(given),
      ...networking.host,
      ...resourceConfig(given),
    },
    NetworkingConfig: networking.networking,
  };
}
