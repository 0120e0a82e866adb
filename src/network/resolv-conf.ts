import { ipVersion } from "../base/ip-address.ts";

/** What resolv.conf(5) says. */
export interface ResolverSettings {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** The address at which containers ask the engine. */
export const NAME_SERVER = "127.0.0.11";
/** The C libraries take no more notice of further ones. */
const MOST_SERVERS = 3;

export function parseResolvConf(text: string): ResolverSettings {
  const servers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword = "", ...words] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    const [first = ""] = words;
    if (keyword === "nameserver" && ipVersion(first.replace(/%.*/, "")) !== 0) servers.push(first);
    // The last one of either counts.
    else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return { servers: servers.slice(0, MOST_SERVERS), search, options };
}

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** A container's settings: what it asked for in place of the host's. `.` as the only search domain is none at all, as in docker. */
export function containerResolver(
  host: ResolverSettings,
  asked: ResolverSettings,
): ResolverSettings {
  const search = asked.search.length > 0 ? asked.search : host.search;
  return {
    servers: asked.servers.length > 0 ? asked.servers : host.servers,
    search: search.filter((domain) => domain !== "."),
    options: asked.options.length > 0 ? asked.options : host.options,
  };
}

/** The file, for a container whose names the engine serves: single words are whole names there. */
export function servedResolvConf({ search, options }: ResolverSettings): string {
  const hasDots = options.some((option) => option.startsWith("ndots:"));
  return formatResolvConf({
    servers: [NAME_SERVER],
    search,
    options: hasDots ? options : [...options, "ndots:0"],
  });
}

export function formatResolvConf({ servers, search, options }: ResolverSettings): string {
  return [
    "# Written by Tiffin.",
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    ...(options.length === 0 ? [] : [`options ${options.join(" ")}`]),
    "",
  ].join("\n");
}
