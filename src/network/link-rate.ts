import type { NetlinkMessage } from "../kernel/netlink.ts";
import { newIfb } from "../kernel/rtnetlink.ts";
import { limitEgress, redirectIngress } from "../kernel/traffic-control.ts";
import type { Endpoint, LinkRate } from "./network.ts";

/** What the kernel gives a veth that nobody gave one. */
const USUAL_MTU = 1500;

/** The host's interface on which a container's uploads queue, when they do there: that of its end with another beginning. */
export function shaperName({ hostInterface }: Endpoint): string {
  return `ti${hostInterface.slice(2)}`;
}

/** Next to the host's end: both are chosen from so many numbers that another one's is not met. */
function shaperIndex({ hostIndex }: Endpoint): number {
  return hostIndex + 1;
}

interface RatedLink {
  readonly endpoint: Endpoint;
  readonly mtu: number;
  readonly rate?: LinkRate;
}

/**
 * On the host, once the veth pair is there: downloads queue where they enter it. Uploads leave it there, where nothing can queue:
 * they go through an ifb (an interface that leads back to where a packet came from) and queue on that.
 */
export function hostRateMessages({ endpoint, mtu, rate }: RatedLink): NetlinkMessage[] {
  if (!rate) return [];
  const size = mtu || USUAL_MTU;
  const [near, shaper] = [{ index: endpoint.hostIndex }, { index: shaperIndex(endpoint) }];
  return [
    ...(rate.down === 0 ? [] : [limitEgress({ ...near, bitsPerSecond: rate.down, mtu: size })]),
    ...(rate.up === 0 || rate.upAt === "container"
      ? []
      : [
          newIfb({ ...shaper, name: shaperName(endpoint), mtu: size }),
          limitEgress({ ...shaper, bitsPerSecond: rate.up, mtu: size }),
          ...redirectIngress(near, shaper),
        ]),
  ];
}

/** Inside of the container's namespace: uploads queue where they begin. */
export function insideRateMessages({ endpoint, mtu, rate }: RatedLink): NetlinkMessage[] {
  if (!rate || rate.up === 0 || rate.upAt === "host") return [];
  const index = endpoint.interfaceIndex;
  return [limitEgress({ index, bitsPerSecond: rate.up, mtu: mtu || USUAL_MTU })];
}
