import { readFileSync, statSync } from "node:fs";
import { isTiffinError } from "../../base/error.ts";
import { closeFd, openProcess } from "../../kernel/process.ts";
import { errnoOf } from "../../kernel/syscall.ts";
import { DnsForwarder } from "../../network/dns-forwarder.ts";
import { DnsServer } from "../../network/dns-server.ts";
import { openNameSockets } from "../../network/dns-sockets.ts";
import type { Upstream } from "../../network/dns-upstream.ts";
import { NAME_SERVER, parseResolvConf, type ResolverSettings } from "../../network/resolv-conf.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { nameTableFor } from "./name-table.ts";
import { isServedNames } from "./name-files.ts";

const HOST_FILE = "/etc/resolv.conf";
const DNS_PORT = 53;

/** The name servers of running containers, and what they have in common. */
export class NameService {
  readonly servers: Map<string, DnsServer> = new Map();
  readonly forwarder: DnsForwarder = new DnsForwarder();
  private hostText = "";
  private hostStamp = "";
  private settings: ResolverSettings = parseResolvConf("");

  /** The host's /etc/resolv.conf as it is now; "" when there is none. */
  hostFile(): string {
    const stat = statSync(HOST_FILE, { throwIfNoEntry: false });
    const stamp = stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : "";
    if (stamp !== this.hostStamp) {
      this.hostText = stat ? readFileSync(HOST_FILE, "utf8") : "";
      this.hostStamp = stamp;
      this.settings = parseResolvConf(this.hostText);
      this.forwarder.clear();
    }
    return this.hostText;
  }

  hostSettings(): ResolverSettings {
    this.hostFile();
    return this.settings;
  }

  close(): void {
    for (const server of this.servers.values()) server.close();
    this.servers.clear();
  }
}

/** Serves names to a container that runs, where its /etc/resolv.conf says so. Idempotent. It goes on without when that fails, and says so. */
export function beginNames(context: EngineContext, id: string): void {
  const container = context.containers.withId(id);
  const process = context.processes.get(id);
  if (!container || !process || !isServedNames(context, container)) return;
  serveNames(context, container, () => process.descriptor());
}

/** The same before its program runs, which may ask in its first instructions. @param pid of its first process, when it is known */
export function serveNamesEarly(
  context: EngineContext,
  container: StoredContainer,
  pid: number | undefined,
): void {
  const process = pid === undefined ? undefined : openProcess(pid);
  // It has ended: its launch says why.
  if (process === undefined) return;
  serveNames(context, container, () => process);
  closeFd(process);
}

function serveNames(
  context: EngineContext,
  { id, name }: StoredContainer,
  descriptor: () => number,
): void {
  const { servers, forwarder } = context.networks.names;
  if (servers.has(id)) return;
  try {
    const asker = {
      names: () => nameTableFor(context, id),
      upstreams: () => upstreamsOf(context, id),
    };
    servers.set(id, new DnsServer(openNameSockets(descriptor()), asker, forwarder));
  } catch (error) {
    // It may have ended as soon as it began.
    if (isTiffinError(error, "conflict") || errnoOf(error) === "ESRCH") return;
    console.error(`tiffin: cannot serve names to container ${name}:`, error);
  }
}

export function endNames({ networks }: EngineContext, id: string): void {
  networks.names.servers.get(id)?.close();
  networks.names.servers.delete(id);
}

/** Whom to ask for a container: its own choice, else the host's servers; nobody where its networks do not lead out. */
function upstreamsOf(context: EngineContext, id: string): Upstream[] {
  const { attachments, names } = context.networks;
  const container: StoredContainer | undefined = context.containers.withId(id);
  const leadsOut = attachments.get(id)?.endpoints.some(({ isDefault }) => isDefault) ?? false;
  if (!container || !leadsOut) return [];
  const asked = container.spec.resolver.servers;
  return (asked.length > 0 ? asked : names.hostSettings().servers)
    .filter((address) => address !== NAME_SERVER)
    .map((address) => ({ address, port: DNS_PORT }));
}
