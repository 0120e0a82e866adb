import type { Database } from "../base/database.ts";
import { type FirewallPolicy, parseFirewallPolicy } from "../network/firewall-policy.ts";

const FIREWALL = "firewall";

/** The firewall's policy of an engine, remembered for its places (docker where none was ever named): an engine that a command starts must not open ports that the one before kept closed. */
export function settleFirewall(
  database: Database,
  asked: FirewallPolicy | undefined,
): FirewallPolicy {
  database.execute(
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
  );
  if (asked !== undefined) {
    database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", FIREWALL, asked);
    return asked;
  }
  const known = database.get<{ value: string }>(
    "SELECT value FROM settings WHERE name = ?",
    FIREWALL,
  );
  return known ? parseFirewallPolicy(known.value) : "docker";
}
