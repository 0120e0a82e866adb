import { statSync } from "node:fs";
import type { Operation, Register } from "../base/operation.ts";
import { ownerMapText } from "../namespaces/id-range.ts";
import { containerUser } from "./container-root.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { planMappedNamespace } from "./mapped-namespace.ts";

/**
 * A user namespace for the idmap of a `:me` bind: the owner of the host directory and the container's user are the same,
 * both ways (ownerMapText). Supervisor side.
 */
export function planOwnerMap(
  context: EngineContext,
  container: StoredContainer,
  bind: { source: string; index: number },
): { prepare: Operation[]; userNamespace: Register } {
  const owner = statSync(bind.source);
  const user = containerUser(context, container, container.spec.user, []);
  const base = container.idBase;
  const maps = {
    uid_map: ownerMapText({ owner: owner.uid, user: user.uid, base }),
    gid_map: ownerMapText({ owner: owner.gid, user: user.gid, base }),
  };
  return planMappedNamespace({
    name: `me.${bind.index}`,
    maps,
    what: "of the bind",
    reason: `make the owner of ${bind.source} and the container's user one`,
  });
}
