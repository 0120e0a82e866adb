import type { NetworkVerbs } from "../engine/networks/network-verbs.ts";
import { TiffinError } from "../base/error.ts";
import type { Database } from "../base/database.ts";
import { NetworkTable } from "../network/network-table.ts";

const emptyDatabase: Database = {
  execute: () => undefined,
  get: () => undefined,
  all: () => [],
  transaction: (work) => work(),
  close: () => undefined,
};

/** An engine with the networks that are there by themselves. */
export function fixtureNetworks(engineId: string): NetworkVerbs {
  const table = new NetworkTable(emptyDatabase, engineId);
  const refuse = (): Promise<never> =>
    Promise.reject(new TiffinError("not-implemented", "No networks here"));
  return {
    all: () => table.all(),
    find: (name) => table.find(name),
    create: refuse,
    remove: refuse,
    prune: () => Promise.resolve([]),
    connect: refuse,
    disconnect: refuse,
    attachment: () => undefined,
    members: () => [],
    trace: () => ({ steps: [], verdict: "not published", reason: "", hint: "" }),
    bridgeName: () => "tiffin0",
    firewall: () => ({ policy: "docker", inForce: "docker", table: "tiffin", obstacle: "" }),
  };
}
