import { whenDone } from "./clean-up.ts";
import { missingPrograms } from "./command.ts";

/** A network namespace for one engine: its bridges and firewall rules are nobody else's, and go with it. */
export interface OwnNetwork {
  /** What comes before a command that is to run in it. */
  readonly enter: readonly string[];
}

/** Of the engine's "host" itself, beside 127.0.0.1: for documentation (RFC 5737), so nobody else's. */
export const HOST_ADDRESS = "192.0.2.10";

export const ownNetworkObstacle: string | undefined = missingPrograms(
  "unshare",
  "nsenter",
  "busybox",
);

/**
 * With forwarding on before an engine looks: dockerd that finds it off drops all that is forwarded, and the others would be
 * measured with their own rules alone.
 */
const SET_UP = `busybox ip link set lo up &&
busybox ip address add ${HOST_ADDRESS}/32 dev lo &&
echo 1 > /proc/sys/net/ipv4/ip_forward &&
echo ready && exec sleep infinity`;

/** It is gone when the bench ends, with all that is in it. */
export async function makeOwnNetwork(): Promise<OwnNetwork> {
  const holder = Bun.spawn(["unshare", "--net", "sh", "-c", SET_UP], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  whenDone(async () => {
    holder.kill("SIGKILL");
    await holder.exited;
  });
  const { value } = await holder.stdout.getReader().read();
  if (value === undefined) throw new Error("No network namespace could be made");
  return { enter: ["nsenter", `--net=/proc/${holder.pid}/ns/net`] };
}
