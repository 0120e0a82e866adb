import { type Operation, call } from "../../base/operation.ts";
import { SECCOMP } from "../../kernel/flags.ts";
import { compileSeccomp } from "./compile.ts";
import { DEFAULT_PROFILE } from "./default-profile.ts";
import { parseDockerProfile } from "./docker-profile.ts";
import { type SeccompFacts, type SeccompProfile, resolveProfile } from "./profile.ts";

export interface SeccompFilter {
  /** Array of struct sock_filter. */
  readonly program: Uint8Array;
  readonly log: boolean;
}

const cache = new Map<string, SeccompFilter>();
const CACHE_SIZE = 64;

/**
 * The filter for a container: of docker's JSON, or the default one. Compiled once for each profile and set of capabilities.
 *
 * @param profile "default", or the JSON text
 * @throws invalid-argument
 */
export function seccompFilter(profile: string, facts: SeccompFacts): SeccompFilter {
  const key = `${facts.architecture} ${facts.kernel.join(".")} ${facts.capabilities} ${profile}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const resolved = resolveProfile(seccompProfile(profile), facts);
  const filter = { program: compileSeccomp(resolved, facts.architecture), log: resolved.log };
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(key, filter);
  return filter;
}

/** @param profile "default", or docker's JSON. @throws invalid-argument */
export function seccompProfile(profile: string): SeccompProfile {
  return profile === "default" ? DEFAULT_PROFILE : parseDockerProfile(profile);
}

/**
 * Installs the filter for the calling process and all that it starts. Container side. Without no-new-privileges it takes
 * CAP_SYS_ADMIN, and so goes before capabilities are given up; with it, last of all, so that the filter need not allow
 * what comes between.
 */
export function planSeccomp(filter: SeccompFilter): Operation[] {
  const { program } = filter;
  const description = {
    struct: [
      [2, program.length / 8],
      [2, 0],
      [4, 0],
      [8, program],
    ] as const,
  };
  const flags = filter.log ? SECCOMP.FILTER_FLAG_LOG : 0;
  return [
    call(
      "seccomp",
      [SECCOMP.SET_MODE_FILTER, flags, description],
      "filter the system calls that it may make",
      {
        hints: {
          EINVAL: "The kernel lacks CONFIG_SECCOMP_FILTER; use --security-opt seccomp=unconfined",
        },
      },
    ),
  ];
}
