import { listChains, listElements } from "../kernel/nft-listing.ts";
import type { NetlinkSocket } from "../kernel/netlink-socket.ts";
import { PUBLISHED, publishedElement } from "./admission.ts";
import { elementName, type Elements, firewallShape, type TablePolicy } from "./firewall.ts";

interface Wanted {
  readonly table: string;
  readonly policy: TablePolicy;
  readonly elements: readonly Elements[];
}

/** What the kernel lacks of the engine's table, in words; "" when all is there. What others have put in beside it is theirs. */
export function firewallLack(socket: NetlinkSocket, wanted: Wanted): string {
  return lackOfChains(socket, wanted) || lackOfElements(socket, wanted);
}

/** Chains of the policy's table, by family and name, with the number of their rules. */
function wantedChains(policy: TablePolicy): Map<string, number> {
  const chains = new Map(
    [...firewallShape(policy).chains].map(([name, rules]) => [`inet ${name}`, rules]),
  );
  if (policy === "host") for (const family of ["ip", "ip6"]) chains.set(`${family} input`, 1);
  return chains;
}

function lackOfChains(socket: NetlinkSocket, { table, policy }: Wanted): string {
  const there = new Map(
    listChains(socket, table).map(({ family, name, rules }) => [`${family} ${name}`, rules.length]),
  );
  const wanted = wantedChains(policy);
  if (![...there.keys()].some((chain) => chain.startsWith("inet ")))
    return `table inet ${table} is gone`;
  for (const [chain, rules] of wanted) {
    const [family, name] = chain.split(" ");
    const found = there.get(chain);
    if (found === undefined) return `chain ${name} of table ${family} ${table} is gone`;
    if (found < rules) return `chain ${name} of table ${family} ${table} has lost rules`;
  }
  return "";
}

function lackOfElements(socket: NetlinkSocket, wanted: Wanted): string {
  const missing = missingElements(socket, wanted);
  for (const [set, count] of missing) {
    if (count === undefined) return `set ${set} of table inet ${wanted.table} is gone`;
    if (count > 0) return `set ${set} of table inet ${wanted.table} has lost ${count} elements`;
  }
  return "";
}

/** How many of the wanted elements each set lacks; undefined: there is no such set. */
function missingElements(
  socket: NetlinkSocket,
  { table, policy, elements }: Wanted,
): Map<string, number | undefined> {
  const bySet = new Map<string, Set<string>>(
    firewallShape(policy).sets.map((set) => [set, new Set()]),
  );
  for (const [set, list] of elements.flatMap((one) => [...one])) {
    for (const element of list) {
      bySet.get(set)?.add(elementName(set, element));
      const published = policy === "host" ? publishedElement(set, element) : undefined;
      if (!published) continue;
      const name = `${published.family} ${PUBLISHED}`;
      const known = bySet.get(name) ?? new Set();
      bySet.set(name, known.add(elementName(name, published.element)));
    }
  }
  return new Map(
    [...bySet].map(([name, wanted]) => {
      const [family, set = name] = name.includes(" ") ? name.split(" ") : ["inet"];
      const place = { family: family as "inet" | "ip" | "ip6", table, set };
      const there = listElements(socket, place);
      if (!there) return [name, undefined];
      const names = new Set(there.map((element) => elementName(name, element)));
      return [name, [...wanted].filter((one) => !names.has(one)).length];
    }),
  );
}
