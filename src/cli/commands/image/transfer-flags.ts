import { type Flag, toggle } from "../../flag.ts";

/** What pull and push have in common. */
export const quiet: Flag<boolean> = toggle("quiet", "Suppress verbose output", { short: "q" });

/** Accepted for docker's sake: there is nothing to verify or to sign with. */
export function contentTrustFlag(description: string): Flag<boolean> {
  return toggle("disable-content-trust", description, { initial: true, hidden: true });
}
