import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { list, text, toggle } from "../../flag.ts";
import { toMap } from "../../container-options/key-values.ts";
import { ipamConfig } from "./ipam-config.ts";

const attachable = toggle("attachable", "Enable manual container attachment");
const auxAddress = list("aux-address", "Auxiliary IPv4 or IPv6 addresses used by Network driver", {
  type: "map",
});
const configFrom = text("config-from", "The network from which to copy the configuration");
const configOnly = toggle("config-only", "Create a configuration only network");
const driver = text("driver", "Driver to manage the Network", { short: "d", initial: "bridge" });
const gateway = list("gateway", "IPv4 or IPv6 Gateway for the master subnet", { type: "strings" });
const ingress = toggle("ingress", "Create swarm routing-mesh network");
const internal = toggle("internal", "Restrict external access to the network");
const ipRange = list("ip-range", "Allocate container ip from a sub-range", { type: "strings" });
const ipamDriver = text("ipam-driver", "IP Address Management Driver", { initial: "default" });
const ipamOpt = list("ipam-opt", "Set IPAM driver specific options", { type: "map" });
const ipv4 = toggle("ipv4", "Enable or disable IPv4 address assignment", { initial: true });
const ipv6 = toggle("ipv6", "Enable or disable IPv6 address assignment");
const label = list("label", "Set metadata on a network");
const opt = list("opt", "Set driver specific options", { short: "o", type: "map" });
const scope = text("scope", "Control the network's scope");
const subnet = list("subnet", "Subnet in CIDR format that represents a network segment", {
  type: "strings",
});

export const command: Command = {
  usage: "[OPTIONS] NETWORK",
  summary: "Create a network",
  examples: `# Containers of this network find each other by name; others do not reach them
tiffin network create front

# With a subnet of one's own, and IPv6
tiffin network create --subnet 10.9.0.0/24 --gateway 10.9.0.254 --ipv6 back

# Without a way out
tiffin network create --internal vault

# On the wire of an interface of the host's
tiffin network create -d macvlan --opt parent=eth0 --subnet 192.0.2.0/24 lan`,
  flags: [
    attachable,
    auxAddress,
    configFrom,
    configOnly,
    driver,
    gateway,
    ingress,
    internal,
    ipRange,
    ipamDriver,
    ipamOpt,
    ipv4,
    ipv6,
    label,
    opt,
    scope,
    subnet,
  ],
  operands: { exactly: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name = ""] = given.operands;
  if (given.get(ingress)) {
    throw failure("Error response from daemon: an ingress network is for swarms: Tiffin has none");
  }
  const body = {
    Name: name,
    Driver: given.get(driver),
    Scope: given.get(scope),
    EnableIPv4: given.get(ipv4),
    EnableIPv6: given.get(ipv6),
    IPAM: {
      Driver: given.get(ipamDriver),
      Options: toMap(given.get(ipamOpt)),
      Config: ipamConfig({
        subnets: given.get(subnet),
        ranges: given.get(ipRange),
        gateways: given.get(gateway),
        auxiliary: toMap(given.get(auxAddress)),
      }),
    },
    Internal: given.get(internal),
    Attachable: given.get(attachable),
    ConfigOnly: given.get(configOnly),
    ConfigFrom: { Network: given.get(configFrom) },
    Options: toMap(given.get(opt)),
    Labels: toMap(given.get(label)),
  };
  const network = await context.api.json("POST", "/networks/create", { body });
  await context.print((network as { Id: string }).Id);
  return 0;
}
