import { invalidArgument } from "../base/error.ts";
import { ipVersion } from "../base/ip-address.ts";
import type { ContainerSpec } from "../engine/types.ts";
import type { JsonObject } from "./json-object.ts";

type NameFields = Pick<ContainerSpec, "resolver" | "extraHosts" | "links">;

/** HostConfig's Dns, DnsSearch, DnsOptions, ExtraHosts and Links. @throws invalid-argument, in docker's words where it has them */
export function readNames(hostConfig: JsonObject): NameFields {
  const servers = hostConfig.strings("Dns");
  for (const address of servers) {
    if (ipVersion(address) === 0) throw invalidArgument(`bad nameserver address: ${address}`);
  }
  const resolver = {
    servers,
    search: words("DnsSearch", hostConfig.strings("DnsSearch")),
    options: words("DnsOptions", hostConfig.strings("DnsOptions")),
  };
  const extraHosts = hostConfig.strings("ExtraHosts").map(checkExtraHost);
  return { resolver, extraHosts, links: readLinks(hostConfig.strings("Links")) };
}

/** Each is to be one word of a line. */
function words(field: string, values: readonly string[]): readonly string[] {
  const bad = values.find((value) => !/^\S+$/.test(value));
  if (bad === undefined) return values;
  throw invalidArgument(`invalid ${field}: ${JSON.stringify(bad)} is not one word`);
}

function checkExtraHost(value: string): string {
  const colon = value.search(/[:=]/);
  const name = value.slice(0, colon);
  const address = value.slice(colon + 1).replace(/^\[(.*)\]$/, "$1");
  if (colon < 1 || !/^\S+$/.test(name)) {
    throw invalidArgument(`bad format for add-host: ${JSON.stringify(value)}`);
  }
  if (address !== "host-gateway" && ipVersion(address) === 0) {
    throw invalidArgument(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return `${name}:${address}`;
}

/** `NAME`, `NAME:ALIAS`, and what inspect shows: `/NAME:/CONTAINER/ALIAS`. */
export function readLinks(links: readonly string[]): string[] {
  return links.map((link) => {
    const [name = "", alias = name, more] = link.split(":");
    const last = alias.slice(alias.lastIndexOf("/") + 1);
    if (name === "" || last === "" || more !== undefined || /\s/.test(link)) {
      throw invalidArgument(`bad format for links: ${link}`);
    }
    return `${name.replace(/^\//, "")}:${last}`;
  });
}
