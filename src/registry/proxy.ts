type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for an address, by the variables that curl and Go read (`https_proxy`, `HTTPS_PROXY`, `no_proxy` …); undefined
 * for none. Loopback addresses never take one.
 */
export function proxyFor(address: URL, environment: Environment): string | undefined {
  const variable = (name: string): string =>
    environment[name.toLowerCase()] || environment[name] || "";
  const proxy = variable(address.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY");
  if (proxy === "" || isExempt(address, variable("NO_PROXY"))) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isExempt({ hostname, port }: URL, list: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "localhost" || host === "::1" || host.startsWith("127.")) return true;
  return list
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .some((entry) => matches(entry, host, port));
}

/** `*`, `example.com` and `.example.com` (also below it), `10.0.0.0/8`, each with a port or without. */
function matches(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [, name = "", ofPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (ofPort !== undefined && ofPort !== port) return false;
  if (name.includes("/")) return isInNetwork(host, name);
  const domain = name.replace(/^\*?\./, "").toLowerCase();
  const isBelow = host.toLowerCase().endsWith(`.${domain}`);
  return isBelow || (!name.startsWith(".") && host.toLowerCase() === domain);
}

function isInNetwork(host: string, network: string): boolean {
  const [base = "", bits = ""] = network.split("/");
  const [address, start] = [ipv4(host), ipv4(base)];
  if (address === undefined || start === undefined || !/^\d{1,2}$/.test(bits)) return false;
  const size = 2 ** (32 - Math.min(Number(bits), 32));
  return Math.floor(address / size) === Math.floor(start / size);
}

function ipv4(text: string): number | undefined {
  const parts = text.split(".").map(Number);
  const isAddress =
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  return isAddress ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined;
}
