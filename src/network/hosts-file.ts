/** One line of hosts(5). */
export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

const LOCAL: readonly HostsEntry[] = [
  { address: "127.0.0.1", names: ["localhost"] },
  { address: "::1", names: ["localhost", "ip6-localhost", "ip6-loopback"] },
  { address: "fe00::", names: ["ip6-localnet"] },
  { address: "ff00::", names: ["ip6-mcastprefix"] },
  { address: "ff02::1", names: ["ip6-allnodes"] },
  { address: "ff02::2", names: ["ip6-allrouters"] },
];

/** docker's lines for the loopback interface, then those given. */
export function formatHosts(entries: readonly HostsEntry[]): string {
  return [...LOCAL, ...entries].map(formatEntry).join("");
}

export function formatEntry({ address, names }: HostsEntry): string {
  return `${address}\t${names.join(" ")}\n`;
}

/** A host's names as docker writes them: with its domain first, then the first label alone. */
export function ownNames(hostname: string, domainname: string): string[] {
  const whole = domainname === "" ? hostname : `${hostname}.${domainname}`;
  const [first = ""] = whole.split(".");
  return first === whole || first === "" ? [whole] : [whole, first];
}

/** `NAME:ADDRESS`; `host-gateway` is each of the host's addresses as the container reaches it. */
export function extraEntry(extra: string, gateways: readonly string[]): HostsEntry[] {
  const colon = extra.indexOf(":");
  const address = extra.slice(colon + 1);
  const names = [extra.slice(0, colon)];
  if (address !== "host-gateway") return [{ address, names }];
  return gateways.filter((one) => one !== "").map((gateway) => ({ address: gateway, names }));
}
