import { ipVersion } from "../../../base/ip-address.ts";

/** One subnet as the API takes it. */
interface SubnetConfig {
  readonly Subnet: string;
  IPRange?: string;
  Gateway?: string;
  readonly AuxiliaryAddresses: Record<string, string>;
}

/**
 * Brings ranges, gateways and further addresses to the subnets that they lie in.
 * @throws in docker's words: a subnet twice, or nothing that holds one of the others
 */
export function ipamConfig(asked: {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
}): SubnetConfig[] {
  const { subnets, ranges, gateways, auxiliary } = asked;
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Error("every ip-range or gateway must have a corresponding subnet");
  }
  const configs: SubnetConfig[] = [];
  for (const subnet of subnets) {
    if (!isCidr(subnet)) throw new Error(`invalid CIDR address: ${subnet}`);
    configs.push({ Subnet: subnet, AuxiliaryAddresses: {} });
  }
  const find = (what: string, address: string): SubnetConfig => {
    const found = configs.find(({ Subnet }) => holds(Subnet, address.split("/")[0] ?? ""));
    if (found) return found;
    throw new Error(`no matching subnet for ${what} ${address}`);
  };
  for (const range of ranges) {
    const config = find("range", range);
    if (config.IPRange !== undefined) {
      throw new Error(
        `cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${config.Subnet})`,
      );
    }
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = find("gateway", gateway);
    if (config.Gateway !== undefined) {
      throw new Error(
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${config.Subnet})`,
      );
    }
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    find("aux-address", address).AuxiliaryAddresses[name] = address;
  }
  return configs;
}

function isCidr(text: string): boolean {
  const [address = "", length = ""] = text.split("/");
  const version = ipVersion(address);
  return version !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}

function holds(subnet: string, address: string): boolean {
  const [base = "", length = ""] = subnet.split("/");
  if (ipVersion(base) !== ipVersion(address)) return false;
  return bits(base).startsWith(bits(address).slice(0, Number(length)));
}

/** An address as a text of 0 and 1. */
function bits(address: string): string {
  if (ipVersion(address) === 4) {
    return address
      .split(".")
      .map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("");
  }
  // As URL parsers write it: without leading zeros, and with :: for the longest run of zeros.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string): string[] => text.split(":").filter((group) => group !== "");
  const [first, last] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  return [...first, ...zeros, ...last]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
}
