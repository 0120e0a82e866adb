import { invalidArgument } from "../base/error.ts";

/**
 * Who decides about what comes for a published port (docs/guide/networks.md, "The host's firewall"):
 * - `docker`: publishing opens the port, whatever the host's input rules say;
 * - `host`: the host's input rules, as for a port that a program of the host listens on;
 * - `none`: the same, for there the engine is that program: no table of nf_tables, and no way out by the host's address.
 */
export type FirewallPolicy = "docker" | "host" | "none";

const POLICIES: readonly FirewallPolicy[] = ["docker", "host", "none"];

/** @throws invalid-argument */
export function parseFirewallPolicy(text: string): FirewallPolicy {
  const found = POLICIES.find((policy) => policy === text);
  if (found) return found;
  throw invalidArgument(
    `Unknown firewall policy ${JSON.stringify(text)}: want docker, host or none`,
    "docker: published ports are open; host: the host's input rules decide; none: no nf_tables",
  );
}
