import { invalidArgument } from "../base/error.ts";
import type { ImageConfig } from "../images/image-store.ts";
import { mergeHealthCheck } from "./health/merge-health-check.ts";
import type { ContainerSpec } from "./types.ts";

/**
 * What the user asked for over what the image says, by docker's rules: an entrypoint of the user's drops the image's
 * command; variables, labels, ports and volumes are united, the user's winning.
 * @throws invalid-argument when neither names a command
 */
export function mergeImageConfig(spec: ContainerSpec, image: ImageConfig): ContainerSpec {
  const { config } = image;
  const entrypoint = spec.entrypoint ?? config.Entrypoint ?? null;
  const command = spec.command ?? (spec.entrypoint === null ? (config.Cmd ?? null) : null);
  if ((entrypoint ?? []).length === 0 && (command ?? []).length === 0) {
    throw invalidArgument("No command specified", "Name a command after the image");
  }
  return {
    ...spec,
    entrypoint: isCleared(entrypoint) ? [] : entrypoint,
    command,
    environment: mergeEnvironment(config.Env ?? [], spec.environment),
    workingDirectory: spec.workingDirectory || config.WorkingDir || "",
    user: spec.user || config.User || "",
    labels: { ...config.Labels, ...spec.labels },
    stopSignal: spec.stopSignal || config.StopSignal || "",
    exposedPorts: union(Object.keys(config.ExposedPorts ?? {}), spec.exposedPorts),
    healthcheck: mergeHealthCheck(spec.healthcheck, config),
    volumes: union(Object.keys(config.Volumes ?? {}), spec.volumes),
  };
}

/** `--entrypoint ""` reaches the engine as `[""]`. */
function isCleared(entrypoint: readonly string[] | null): boolean {
  return entrypoint !== null && entrypoint.length === 1 && entrypoint[0] === "";
}

function union(first: readonly string[], second: readonly string[]): string[] {
  return [...new Set([...first, ...second])];
}

/** Later variables replace earlier ones of the same name, in the earlier one's place. A name without `=` removes it. */
function mergeEnvironment(image: readonly string[], asked: readonly string[]): string[] {
  const variables = new Map<string, string>();
  for (const variable of [...image, ...asked]) {
    const [name = ""] = variable.split("=", 1);
    if (variable.includes("=")) variables.set(name, variable);
    else variables.delete(name);
  }
  return [...variables.values()];
}

/** The argument vector: entrypoint, then command. */
export function commandLine(spec: ContainerSpec): string[] {
  return [...(spec.entrypoint ?? []), ...(spec.command ?? [])];
}
