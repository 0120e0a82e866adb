import { O } from "./flags.ts";
import { decodeAttributes, decodeMessages, type ReceivedMessage } from "./netlink.ts";
import { kernelAddress } from "./netlink-socket.ts";
import { type Notices, onNotice } from "./notices.ts";
import { addressOf, syscall, syscallRaw } from "./syscall.ts";

/** Who changed something in nf_tables, as the kernel tells it. */
export interface RulesetAuthor {
  readonly pid: number;
  /** Its command's name: `nft`. */
  readonly program: string;
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_NO_ENOBUFS = 5;
const NFNLGRP_NFTABLES = 7;
const NEW_GENERATION = (10 << 8) | 15;
const GENERATION = { PID: 2, NAME: 3 };

/**
 * Calls back when anybody but one netlink socket has changed the host's nf_tables: a transaction ends with a message that names who
 * made it (nf_tables.h, NFT_MSG_NEWGEN). Some may be left out when very many come at once, never the last ones.
 * @param exceptPort the socket's number ({@link NetlinkSocket.port})
 * @param callback gets who changed something in tables of the name, or undefined: it was elsewhere
 */
export function watchRulesets(
  { exceptPort, table }: { exceptPort: number; table: string },
  callback: (author: RulesetAuthor | undefined) => void,
): Notices {
  const fd = syscall("socket", AF_NETLINK, SOCK_RAW | O.CLOEXEC | O.NONBLOCK, NETLINK_NETFILTER);
  try {
    syscall("bind", fd, kernelAddress(), 12);
    setOption(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, number(1));
    leaveOut(fd, exceptPort);
    setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number(NFNLGRP_NFTABLES));
  } catch (error) {
    syscallRaw("close", fd);
    throw error;
  }
  let isTouched = false;
  return onNotice(fd, (bytes) => {
    let author: RulesetAuthor | undefined;
    for (const { type, payload } of messagesOf(bytes)) {
      const attributes = decodeAttributes(payload, 4);
      if (type === NEW_GENERATION) {
        if (isTouched) author ??= readAuthor(attributes);
        isTouched = false;
      } else {
        // All other messages name the table in attribute 1.
        isTouched ||= textOf(attributes.get(1)) === table;
      }
    }
    callback(author);
  });
}

/** What is too long for one read is cut by the kernel; that something has changed is known all the same. */
function messagesOf(bytes: Uint8Array): ReceivedMessage[] {
  try {
    return decodeMessages(bytes);
  } catch {
    return [];
  }
}

function readAuthor(attributes: ReadonlyMap<number, Uint8Array>): RulesetAuthor {
  const pid = Buffer.from(attributes.get(GENERATION.PID) ?? []);
  return {
    pid: pid.length === 4 ? pid.readUInt32BE() : 0,
    program: textOf(attributes.get(GENERATION.NAME)),
  };
}

function textOf(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes).toString().replace(/\0.*$/s, "");
}

const INSTRUCTION = { LOAD_WORD: 0x20, JUMP_IF_EQUAL: 0x15, RETURN: 0x06 };
/** Of struct nlmsghdr: who sent the request that a message is about. */
const SENDER_OFFSET = 12;

/** A filter of the classic BPF (Documentation/networking/filter.rst): own changes wake nobody. */
function leaveOut(fd: number, port: number): void {
  const own = Buffer.alloc(4);
  own.writeUInt32LE(port);
  const program = Buffer.concat([
    instruction(INSTRUCTION.LOAD_WORD, SENDER_OFFSET),
    // The filter reads numbers in network order; this one is in the host's.
    instruction(INSTRUCTION.JUMP_IF_EQUAL, own.readUInt32BE(), { otherwise: 1 }),
    instruction(INSTRUCTION.RETURN, 0),
    instruction(INSTRUCTION.RETURN, 0xff_ff_ff_ff),
  ]);
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt16LE(program.length / 8);
  descriptor.writeBigUInt64LE(addressOf(program), 8);
  setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, descriptor);
}

function instruction(code: number, operand: number, jump = { otherwise: 0 }): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code);
  bytes[3] = jump.otherwise;
  bytes.writeUInt32LE(operand, 4);
  return bytes;
}

function setOption(fd: number, level: number, option: number, value: Buffer): void {
  syscall("setsockopt", fd, level, option, value, value.length);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
