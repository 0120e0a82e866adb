import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import { O } from "./flags.ts";
import {
  checkAcknowledged,
  decodeMessages,
  encodeMessages,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
  type ReceivedMessage,
} from "./netlink.ts";
import { syscall, syscallError, syscallRaw } from "./syscall.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const BUFFER_SIZE = 256 * 1024;
const SEND_BUFFER_SIZE = 4 * 1024 * 1024;

/** struct sockaddr_nl of the kernel. */
export function kernelAddress(): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes[0] = AF_NETLINK;
  return bytes;
}

/**
 * A conversation with the kernel. It handles rtnetlink and nf_tables messages within the send, so requests need no
 * acknowledgement: what is not refused by the time send returns is done.
 */
export class NetlinkSocket {
  private readonly fd: number;
  private readonly buffer = new Uint8Array(BUFFER_SIZE);

  /** @param fd a netlink socket, which is closed by `close` */
  constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws permission-denied and others when the kernel has no such protocol */
  static open(protocol: number): NetlinkSocket {
    const fd = syscall("socket", AF_NETLINK, SOCK_RAW | O.CLOEXEC, protocol);
    const size = Buffer.alloc(4);
    size.writeInt32LE(SEND_BUFFER_SIZE);
    // A batch of a thousand elements is sent in one piece; without the right the usual size has to do.
    syscallRaw("setsockopt", fd, SOL_SOCKET, SO_SNDBUF, size, 4);
    syscallRaw("setsockopt", fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4);
    return new NetlinkSocket(fd);
  }

  /** The number that the kernel knows the socket by: it stands in notices of what was changed through it. */
  port(): number {
    const address = Buffer.alloc(12);
    const length = Buffer.alloc(4);
    length.writeInt32LE(address.length);
    // The first send has given it one, if there was any.
    syscall("getsockname", this.fd, address, length);
    if (address.readUInt32LE(4) === 0) {
      syscall("bind", this.fd, kernelAddress(), address.length);
      syscall("getsockname", this.fd, address, length);
    }
    return address.readUInt32LE(4);
  }

  /** Sends messages that change something, in one send. @throws the first refusal: `Cannot DOING: netlink: EEXIST` */
  change(messages: readonly NetlinkMessage[], doing: string): void {
    this.send(encodeMessages(messages), doing);
    const answers: ReceivedMessage[] = [];
    // Of a batch each refusal is told: what is left unread would be taken for an answer to the next one.
    for (let answer = this.receive(MSG_DONTWAIT); answer; answer = this.receive(MSG_DONTWAIT)) {
      answers.push(...answer);
    }
    checkAcknowledged(answers, doing);
  }

  /** The one answer to one question. @throws the refusal; `details.errno` has its name */
  ask(message: NetlinkMessage, doing: string): ReceivedMessage {
    this.send(encodeMessages([message]), doing);
    const answer = this.receive(0) ?? [];
    checkAcknowledged(answer, doing);
    const [first] = answer;
    if (!first) throw new TiffinError("internal", `Cannot ${doing}: the kernel did not answer`);
    return first;
  }

  /** All that a question with NLM_F_DUMP lists. */
  dump(message: NetlinkMessage, doing: string): ReceivedMessage[] {
    this.send(encodeMessages([{ ...message, flags: message.flags | NLM_F.DUMP }]), doing);
    const all: ReceivedMessage[] = [];
    for (;;) {
      const answer = this.receive(0) ?? [];
      checkAcknowledged(answer, doing);
      for (const one of answer) {
        if (one.type === NLMSG.DONE || one.type === NLMSG.ERROR) return all;
        // The next receive overwrites the buffer.
        all.push({ ...one, payload: Uint8Array.from(one.payload) });
      }
    }
  }

  close(): void {
    syscallRaw("close", this.fd);
  }

  private send(bytes: Uint8Array, doing: string): void {
    const sent = syscallRaw("sendto", this.fd, bytes, bytes.length, 0, kernelAddress(), 12);
    if (sent < 0) throw syscallError("sendto", sent, doing);
  }

  /** undefined when there is nothing now. */
  private receive(flags: number): ReceivedMessage[] | undefined {
    const got = syscallRaw("recvfrom", this.fd, this.buffer, BUFFER_SIZE, flags, null, null);
    if (got === -ERRNO.EAGAIN) return undefined;
    if (got < 0) throw syscallError("recvfrom", got, "read the kernel's answer");
    return decodeMessages(this.buffer.subarray(0, got));
  }
}
