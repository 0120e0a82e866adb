import { ipVersion } from "../../base/ip-address.ts";
import { splitCsv } from "./csv.ts";

/** One `--network`: a name, and what the long form says about the end point there. */
export interface NetworkChoice {
  readonly target: string;
  readonly aliases: readonly string[];
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly links: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly linkLocal: readonly string[];
  readonly mac: string;
  readonly gatewayPriority: number;
}

const EMPTY: NetworkChoice = {
  target: "",
  aliases: [],
  driverOptions: {},
  links: [],
  ipv4: "",
  ipv6: "",
  linkLocal: [],
  mac: "",
  gatewayPriority: 0,
};

/** The value of `--network`: a name, or `name=NET,alias=A,ip=…`. @throws in docker's words */
export function parseNetwork(text: string): NetworkChoice {
  if (!/\w+=\w+/.test(text)) return { ...EMPTY, target: text };
  let choice = EMPTY;
  for (const field of splitCsv(text)) {
    const lower = field.toLowerCase();
    const equals = lower.indexOf("=");
    if (equals < 1) throw new Error(`invalid field ${field}`);
    choice = withField(choice, lower.slice(0, equals).trim(), lower.slice(equals + 1).trim());
  }
  if (choice.target === "") throw new Error("network name/id is not specified");
  return choice;
}

function withField(choice: NetworkChoice, key: string, value: string): NetworkChoice {
  switch (key) {
    case "name":
      return { ...choice, target: value };
    case "alias":
      return { ...choice, aliases: [...choice.aliases, value] };
    case "ip":
      return { ...choice, ipv4: value };
    case "ip6":
      return { ...choice, ipv6: value };
    case "mac-address":
      return { ...choice, mac: value };
    case "link-local-ip":
      return { ...choice, linkLocal: [...choice.linkLocal, value] };
    case "driver-opt": {
      const equals = value.indexOf("=");
      if (equals < 1) throw new Error("invalid key value pair format in driver options");
      const option = { [value.slice(0, equals).trim()]: value.slice(equals + 1).trim() };
      return { ...choice, driverOptions: { ...choice.driverOptions, ...option } };
    }
    case "gw-priority":
      if (!/^[+-]?\d+$/.test(value))
        throw new Error(`invalid gw-priority (${value}): invalid syntax`);
      return { ...choice, gatewayPriority: Number(value) };
    default:
      throw new Error(`invalid field key ${key}`);
  }
}

/** What the flags beside `--network` say about the first network. */
export interface EndpointFlags {
  readonly aliases: readonly string[];
  readonly links: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
  readonly linkLocal: readonly string[];
}

export type EndpointsConfig = Record<string, Record<string, unknown>>;

/** NetworkingConfig.EndpointsConfig of the networks chosen. @throws in docker's words */
export function endpoints(
  choices: readonly NetworkChoice[],
  flags: EndpointFlags,
): EndpointsConfig {
  const all = choices.length === 0 ? [{ ...EMPTY, target: "default" }] : choices;
  const config: EndpointsConfig = {};
  for (const [index, choice] of all.entries()) {
    const endpoint = endpointOf(index === 0 ? combine(choice, flags) : choice);
    if (Object.hasOwn(config, choice.target)) {
      throw new Error(`network ${JSON.stringify(choice.target)} is specified multiple times`);
    }
    // A single network without further words is left to the engine, as docker does.
    const isPlain = choices.length === 1 && Object.keys(endpoint).length === 0;
    if (!isPlain) config[choice.target] = endpoint;
  }
  const userDefined = all.filter(({ target }) => isUserDefined(target));
  if (userDefined.length > 0 && userDefined.length < all.length) {
    throw new Error(
      "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    );
  }
  return config;
}

function isUserDefined(target: string): boolean {
  return (
    !["default", "bridge", "host", "none"].includes(target) && !/^(container|ns):/.test(target)
  );
}

function combine(choice: NetworkChoice, flags: EndpointFlags): NetworkChoice {
  const clash = (one: string, other: string): Error =>
    new Error(`conflicting options: cannot specify both ${one} and per-network ${other}`);
  if (choice.aliases.length > 0 && flags.aliases.length > 0)
    throw clash("--network-alias", "alias");
  if (choice.ipv4 !== "" && flags.ipv4 !== "") throw clash("--ip", "IPv4 address");
  if (choice.ipv6 !== "" && flags.ipv6 !== "") throw clash("--ip6", "IPv6 address");
  if (choice.mac !== "" && flags.mac !== "") throw clash("--mac-address", "MAC address");
  if (choice.linkLocal.length > 0 && flags.linkLocal.length > 0) {
    throw clash("--link-local-ip", "link-local IP addresses");
  }
  const userDefined = isUserDefined(choice.target);
  return {
    ...choice,
    aliases: [...choice.aliases, ...flags.aliases],
    // On the default bridge a link is the container's own, in HostConfig.Links.
    links: userDefined ? flags.links : [],
    ipv4: choice.ipv4 || flags.ipv4,
    ipv6: choice.ipv6 || flags.ipv6,
    mac: choice.mac || flags.mac,
    linkLocal: [...choice.linkLocal, ...flags.linkLocal],
  };
}

function endpointOf(choice: NetworkChoice): Record<string, unknown> {
  if (choice.target.trim() === "") throw new Error("no name set for network");
  if (!isUserDefined(choice.target) && choice.aliases.length > 0) {
    throw new Error("network-scoped aliases are only supported for user-defined networks");
  }
  const addresses = {
    ...(choice.ipv4 === "" ? {} : { IPv4Address: choice.ipv4 }),
    ...(choice.ipv6 === "" ? {} : { IPv6Address: choice.ipv6 }),
    ...(choice.linkLocal.length === 0 ? {} : { LinkLocalIPs: choice.linkLocal }),
  };
  return {
    ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
    ...(choice.links.length === 0 ? {} : { Links: choice.links }),
    ...(choice.aliases.length === 0 ? {} : { Aliases: choice.aliases }),
    ...(Object.keys(choice.driverOptions).length === 0 ? {} : { DriverOpts: choice.driverOptions }),
    ...(choice.gatewayPriority === 0 ? {} : { GwPriority: choice.gatewayPriority }),
    ...(choice.mac === "" ? {} : { MacAddress: checkMac(choice.mac) }),
  };
}

/** @throws in docker's words */
export function checkMac(mac: string): string {
  if (/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(mac.trim())) return mac;
  throw new Error(`${mac} is not a valid mac address`);
}

/** As pflag reads an address. */
export function readIp(value: string): string {
  if (ipVersion(value.trim()) === 0)
    throw new Error(`failed to parse IP: ${JSON.stringify(value)}`);
  return value.trim();
}
