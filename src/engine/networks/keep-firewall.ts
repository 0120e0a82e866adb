import type { EngineContext } from "../context.ts";
import { FirewallWatch } from "./firewall-watch.ts";

/** Watches the engine's table of nf_tables: what somebody takes away is put back, and told in the log and as an event. */
export function keepFirewall(context: EngineContext): void {
  const { firewall } = context.networks;
  const watch = new FirewallWatch(firewall, ({ lack, by, times }) => {
    const often = times > 1 ? ` (${times} times in a row)` : "";
    console.error(`tiffin: ${lack}: ${by} changed the host's firewall; it is put back${often}`);
    context.events.emit({
      type: "daemon",
      action: "firewall-restore",
      actorId: context.id,
      attributes: { name: context.host.hostname, table: firewall.table, lack, by },
    });
  });
  watch.begin();
  context.networks.onClose(() => watch.close());
}
