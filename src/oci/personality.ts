import { invalidArgument } from "../base/error.ts";
import { call, type Operation } from "../base/operation.ts";
import type { SpecLinux } from "../base/runtime-spec.ts";

const DOMAINS: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

/** `linux.personality` (personality(2)). @throws invalid-argument; the specification knows no flags yet */
export function planPersonality(personality: SpecLinux["personality"]): Operation[] {
  if (personality === undefined) return [];
  const domain = DOMAINS[personality.domain];
  if (domain === undefined) {
    throw invalidArgument(
      `Cannot use the personality ${JSON.stringify(personality.domain)}: there is no such domain`,
    );
  }
  if ((personality.flags ?? []).length > 0) {
    throw invalidArgument("Cannot use the personality: it takes no flags");
  }
  return [call("personality", [domain], `run as a ${personality.domain} program`)];
}
