import { type Attribute, NLM_F, type NetlinkMessage } from "./netlink.ts";

/** Messages about queues and where packets are sent next (tc(8), tc-tbf(8), tc-u32(8), tc-mirred(8)); linux/pkt_sched.h. */

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const TCA = { KIND: 1, OPTIONS: 2 };
const TCA_TBF = { PARMS: 1, RATE64: 4, BURST: 6 };
const TCA_U32 = { SEL: 5, ACT: 7 };
const TCA_ACT = { KIND: 1, OPTIONS: 2 };
const TCA_MIRRED_PARMS = 2;
const ROOT = 0xffff_ffff;
const INGRESS = { parent: 0xffff_fff1, handle: 0xffff_0000 };
const LINKLAYER_ETHERNET = 1;
const ETHERNET_HEADER_BYTES = 14;
const U32_TERMINAL = 1;
const ACT_STOLEN = 4;
const MIRRED_EGRESS_REDIRECT = 1;
const MAXIMUM_U32 = 0xffff_ffff;
/** How long a packet may wait before it is dropped instead. */
const LONGEST_WAIT_SECONDS = 0.05;
/** Timers of a kernel with 100 ticks a second can just keep up with this. */
const BURST_SECONDS = 0.01;
const LEAST_BURST_BYTES = 32 * 1024;

/**
 * A token bucket as an interface's only queue: what leaves by it takes `bitsPerSecond`, counted as IP packets of `mtu` bytes.
 * In place of one that is there.
 */
export function limitEgress(link: {
  index: number;
  bitsPerSecond: number;
  mtu: number;
}): NetlinkMessage {
  // The kernel counts frames; users mean what is in them.
  const frames = (link.mtu + ETHERNET_HEADER_BYTES) / link.mtu;
  const rate = Math.ceil((link.bitsPerSecond / 8) * frames);
  const burst = Math.max(LEAST_BURST_BYTES, Math.ceil(rate * BURST_SECONDS));
  const wide = Buffer.alloc(8);
  wide.writeBigUInt64LE(BigInt(rate));
  const options: Attribute[] = [
    [TCA_TBF.PARMS, tokenBucket(rate, burst + Math.ceil(rate * LONGEST_WAIT_SECONDS))],
    [TCA_TBF.BURST, burst],
    ...(rate > MAXIMUM_U32 ? [[TCA_TBF.RATE64, wide] as const] : []),
  ];
  return {
    type: RTM_NEWQDISC,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    body: queueBody({ index: link.index, handle: 0x1_0000, parent: ROOT, info: 0 }),
    attributes: [
      [TCA.KIND, "tbf"],
      [TCA.OPTIONS, options],
    ],
  };
}

/** Takes {@link limitEgress}'s queue away. The kernel refuses with ENOENT when there is none. */
export function removeEgressLimit({ index }: { index: number }): NetlinkMessage {
  const body = queueBody({ index, handle: 0, parent: ROOT, info: 0 });
  return { type: RTM_DELQDISC, flags: 0, body, attributes: [] };
}

/** Takes {@link redirectIngress}'s queue and filter away. The kernel refuses with ENOENT or EINVAL when there is none. */
export function removeIngress({ index }: { index: number }): NetlinkMessage {
  const body = queueBody({ index, ...INGRESS, info: 0 });
  return { type: RTM_DELQDISC, flags: 0, body, attributes: [] };
}

/** What comes in by one interface leaves by another, where it can be queued. An ingress queue and its only filter. */
export function redirectIngress(from: { index: number }, to: { index: number }): NetlinkMessage[] {
  const allProtocols = 0x0300;
  const firstPriority = 0x1_0000;
  return [
    {
      type: RTM_NEWQDISC,
      flags: NLM_F.CREATE | NLM_F.REPLACE,
      body: queueBody({ index: from.index, ...INGRESS, info: 0 }),
      attributes: [[TCA.KIND, "ingress"]],
    },
    {
      type: RTM_NEWTFILTER,
      flags: NLM_F.CREATE | NLM_F.EXCL,
      body: queueBody({
        index: from.index,
        handle: 0,
        parent: INGRESS.handle,
        info: firstPriority | allProtocols,
      }),
      attributes: [
        [TCA.KIND, "u32"],
        [
          TCA.OPTIONS,
          [
            [TCA_U32.SEL, matchEverything()],
            [
              TCA_U32.ACT,
              [
                [
                  1,
                  [
                    [TCA_ACT.KIND, "mirred"],
                    [TCA_ACT.OPTIONS, [[TCA_MIRRED_PARMS, redirectTo(to.index)]]],
                  ],
                ],
              ],
            ],
          ],
        ],
      ],
    },
  ];
}

/** struct tcmsg. */
function queueBody(queue: { index: number; handle: number; parent: number; info: number }): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeInt32LE(queue.index, 4);
  bytes.writeUInt32LE(queue.handle, 8);
  bytes.writeUInt32LE(queue.parent, 12);
  bytes.writeUInt32LE(queue.info, 16);
  return bytes;
}

/** struct tc_tbf_qopt; the link layer says that the kernel need not be given a table of times. */
function tokenBucket(rate: number, limit: number): Buffer {
  const bytes = Buffer.alloc(36);
  bytes[1] = LINKLAYER_ETHERNET;
  bytes.writeUInt32LE(Math.min(rate, MAXIMUM_U32), 8);
  bytes.writeUInt32LE(Math.min(limit, MAXIMUM_U32), 24);
  return bytes;
}

/** struct tc_u32_sel with one key that takes nothing into account. */
function matchEverything(): Buffer {
  const bytes = Buffer.alloc(32);
  bytes[0] = U32_TERMINAL;
  bytes[2] = 1;
  return bytes;
}

/** struct tc_mirred. */
function redirectTo(index: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeInt32LE(ACT_STOLEN, 8);
  bytes.writeInt32LE(MIRRED_EGRESS_REDIRECT, 20);
  bytes.writeUInt32LE(index, 24);
  return bytes;
}
