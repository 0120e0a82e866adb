/** Sends traffic-control.ts's messages for the interfaces `near` and `shaper` of the network namespace that it is started in. */
import { readFileSync } from "node:fs";
import {
  checkAcknowledged,
  decodeMessages,
  encodeMessages,
  NETLINK_ROUTE,
  NLM_F,
} from "./netlink.ts";
import { syscall } from "./syscall.ts";
import { limitEgress, redirectIngress } from "./traffic-control.ts";

const SOCK_RAW = 3;
const index = (name: string): number =>
  Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
const [down = "", up = ""] = process.argv.slice(2);
const near = { index: index("near"), mtu: 1500 };
const shaper = { index: index("shaper"), mtu: 1500 };
const socket = syscall("socket", 16, SOCK_RAW, NETLINK_ROUTE);
for (const message of [
  limitEgress({ ...near, bitsPerSecond: Number(down) }),
  limitEgress({ ...shaper, bitsPerSecond: Number(up) }),
  ...redirectIngress(near, shaper),
]) {
  const bytes = encodeMessages([{ ...message, flags: message.flags | NLM_F.ACK }]);
  syscall("sendto", socket, bytes, bytes.length, 0, null, 0);
  const answer = new Uint8Array(16_384);
  const size = syscall("recvfrom", socket, answer, answer.length, 0, null, null);
  checkAcknowledged(decodeMessages(answer.subarray(0, size)), "limit the rate");
}
