import { Fields, type InspectedSettings } from "./inspected-settings.ts";
import { each, toggle } from "./words.ts";

/** Networks, names and ports. */
export function networkWords(container: InspectedSettings, usual: Fields): string[] {
  const config = new Fields(container.Config);
  const host = new Fields(container.HostConfig);
  const exposed = config
    .keys("ExposedPorts")
    .filter((port) => !usual.keys("ExposedPorts").includes(port));
  return [
    ...each("network", networks(container)),
    ...each("publish", published(host)),
    ...toggle("publish-all", host.flag("PublishAllPorts")),
    ...each("expose", exposed),
    ...each("dns", host.list("Dns")),
    ...each("dns-option", host.list("DnsOptions")),
    ...each("dns-search", host.list("DnsSearch")),
    ...each("add-host", host.list("ExtraHosts")),
    ...each("link", host.list("Links")),
  ];
}

function published(host: Fields): string[] {
  const ports = host.object("PortBindings");
  return host.keys("PortBindings").flatMap((port) =>
    ports.objects(port).map((binding) => {
      const ip = binding.text("HostIp");
      const address = ip.includes(":") ? `[${ip}]` : ip;
      const from = `${address === "" ? "" : `${address}:`}${binding.text("HostPort")}`;
      return from === "" ? port : `${from}:${port}`;
    }),
  );
}

/** The mode's network first; in the long form where something is asked for there. */
function networks({ HostConfig, NetworkSettings }: InspectedSettings): string[] {
  const mode = new Fields(HostConfig).text("NetworkMode");
  const settings = new Fields(NetworkSettings);
  const all = settings.object("Networks");
  const names = settings.keys("Networks");
  const isShared = /^(host|none|(container|ns):.*)$/s.test(mode);
  if (isShared || names.length === 0) return mode === "default" ? [] : [mode];
  const main = mode === "default" ? "bridge" : mode;
  const ordered = [
    ...names.filter((name) => name === main),
    ...names.filter((name) => name !== main),
  ];
  const words = ordered.map((name) => networkWord(name, all.object(name)));
  return mode === "default" && words.length === 1 && words[0] === main ? [] : words;
}

function networkWord(name: string, endpoint: Fields): string {
  const addresses = endpoint.object("IPAMConfig");
  const fields = [
    ...endpoint.list("Aliases").map((alias) => `alias=${alias}`),
    ...field("ip", addresses.text("IPv4Address")),
    ...field("ip6", addresses.text("IPv6Address")),
    ...Object.entries(endpoint.map("DriverOpts")).map(
      ([key, value]) => `driver-opt=${key}=${value}`,
    ),
    ...field(
      "gw-priority",
      endpoint.number("GwPriority") === 0 ? "" : String(endpoint.number("GwPriority")),
    ),
  ];
  return fields.length === 0 ? name : [`name=${name}`, ...fields].join(",");
}

function field(name: string, value: string): string[] {
  return value === "" ? [] : [`${name}=${value}`];
}
