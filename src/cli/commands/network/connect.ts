import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { checkMac, readIp } from "../../container-options/network.ts";
import { toMap } from "../../container-options/key-values.ts";
import { integer, list, parsed, text } from "../../flag.ts";

const ipOption = { type: "string", initial: "", parse: readIp };
const alias = list("alias", "Add network-scoped alias for the container", { type: "strings" });
const driverOpt = list("driver-opt", "driver options for the network", { type: "strings" });
const gwPriority = integer("gw-priority", "Highest gw-priority provides the default gateway");
const ip = parsed("ip", 'IPv4 address (e.g., "172.30.100.104")', ipOption);
const ip6 = parsed("ip6", 'IPv6 address (e.g., "2001:db8::33")', ipOption);
const link = list("link", "Add link to another container");
const linkLocal = list("link-local-ip", "Add a link-local address for the container", {
  type: "strings",
});
const mac = text("mac-address", "MAC address of the container there");

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Connect a container to a network",
  examples: `# A container that runs, with an address of one's choice
tiffin network connect --ip 10.9.0.7 back web`,
  flags: [alias, driverOpt, gwPriority, ip, ip6, link, linkLocal, mac],
  operands: { exactly: 2 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [network = "", container = ""] = given.operands;
  const address = given.get(mac);
  const body = {
    Container: container,
    EndpointConfig: {
      IPAMConfig: {
        IPv4Address: given.get(ip),
        IPv6Address: given.get(ip6),
        LinkLocalIPs: given.get(linkLocal),
      },
      Links: given.get(link),
      Aliases: given.get(alias),
      DriverOpts: toMap(given.get(driverOpt)),
      GwPriority: given.get(gwPriority),
      MacAddress: address === "" ? "" : checkMac(address),
    },
  };
  await context.api.run("POST", apiPath("networks", network, "connect"), { body });
  return 0;
}
