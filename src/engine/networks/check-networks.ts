import type { Link } from "../../kernel/rtnetlink.ts";
import { shaperName } from "../../network/link-rate.ts";
import type { EngineContext } from "../context.ts";
import type { Finding } from "../engine.ts";

/**
 * Holds the host's bridges, their ports and the firewall's table against the networks and those who are in them. `repair` removes a
 * port that is nobody's and makes the table again.
 */
export function checkNetworks(context: EngineContext, repair: boolean): Finding[] {
  const { networks } = context;
  const bridged = networks.table.all().filter(({ driver }) => driver === "bridge");
  const names = new Set(bridged.map((network) => networks.bridgeName(network)));
  if (networks.attachments.size === 0 && bridged.every(({ pools }) => pools.length === 0))
    return [];
  const links = networks.host.links();
  const bridges = links.filter(({ name, kind }) => kind === "bridge" && names.has(name));
  return [
    ...checkPorts(context, { links, bridges, repair }),
    ...checkShapers(context, links, repair),
    ...checkMissing(context, links),
    ...(bridges.length > 0 ? checkFirewall(context, repair) : []),
  ];
}

/** Ends of veth pairs on the engine's bridges whose container does not run. One on its way out is gone a moment later. */
function checkPorts(
  context: EngineContext,
  found: { links: readonly Link[]; bridges: readonly Link[]; repair: boolean },
): Finding[] {
  const { networks } = context;
  const masters = new Set(found.bridges.map(({ index }) => index));
  const owned = new Set([
    ...[...networks.attachments.values()].flatMap(({ endpoints }) =>
      endpoints.map(({ hostInterface }) => hostInterface),
    ),
    ...context.ready.hostInterfaces,
  ]);
  return found.links
    .filter(({ name, master }) => masters.has(master) && isOurs(name) && !owned.has(name))
    .map(({ name, index }): Finding => {
      if (found.repair) networks.host.deleteLink(index);
      return {
        kind: "interface",
        what: name,
        problem: "no running container has this interface",
        repaired: found.repair,
      };
    });
}

function isOurs(name: string): boolean {
  return /^tv[0-9a-f]{12}$/.test(name);
}

/** Where uploads of the engine's containers queue on the host, of none that has such a rate now. */
function checkShapers(context: EngineContext, links: readonly Link[], repair: boolean): Finding[] {
  const { networks, containers } = context;
  const owned = new Set(
    [...networks.attachments].flatMap(([id, { endpoints }]) =>
      containers.withId(id)?.spec.networkRate ? endpoints.map(shaperName) : [],
    ),
  );
  const ids = new Set(containers.all().map(({ id }) => id.slice(0, 8)));
  return links
    .filter(({ name, kind }) => kind === "ifb" && /^ti[0-9a-f]{12}$/.test(name))
    .filter(({ name }) => ids.has(name.slice(2, 10)) && !owned.has(name))
    .map(({ name, index }): Finding => {
      if (repair) networks.host.deleteLink(index);
      return {
        kind: "interface",
        what: name,
        problem: "no running container queues its uploads there",
        repaired: repair,
      };
    });
}

function checkMissing(context: EngineContext, links: readonly Link[]): Finding[] {
  const { networks, containers } = context;
  const present = new Set(links.map(({ name }) => name));
  return [...networks.attachments].flatMap(([id, { endpoints }]) =>
    endpoints
      .filter(({ hostInterface }) => hostInterface !== "" && !present.has(hostInterface))
      .map(
        ({ hostInterface, interfaceName }): Finding => ({
          kind: "interface",
          what: containers.withId(id)?.name ?? id,
          problem: `the host's end ${hostInterface} of its ${interfaceName} is missing`,
          repaired: false,
        }),
      ),
  );
}

function checkFirewall(context: EngineContext, repair: boolean): Finding[] {
  const { firewall } = context.networks;
  const lack = firewall.lack();
  if (lack === "") return [];
  if (repair) firewall.makeAgain();
  return [
    {
      kind: "firewall",
      what: firewall.table,
      problem: `${lack}: somebody took it away`,
      repaired: repair,
    },
  ];
}
