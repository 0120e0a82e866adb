/**
 * `without-netfilter.ts ERRNO PROGRAM ARGUMENT...` becomes the program, which gets no netlink socket of the kernel's netfilter:
 * where there is no such right (EPERM), or no such kernel (EPROTONOSUPPORT).
 */
import { ERRNO } from "../../src/base/errno.ts";
import { syscallNumber } from "../../src/base/syscall-number.ts";
import { addressOf, ARCHITECTURE, cString, syscall } from "../../src/kernel/syscall.ts";

const SET_FILTER = 1;
const [LOAD_WORD, JUMP_IF_EQUAL, RETURN] = [0x20, 0x15, 0x06];
const [ALLOW, REFUSE] = [0x7f_ff_00_00, 0x00_05_00_00];
const [AF_NETLINK, NETLINK_NETFILTER] = [16, 12];
/** Of struct seccomp_data. */
const OFFSET = { NUMBER: 0, FAMILY: 16, PROTOCOL: 32 };

function instruction(code: number, operand: number, otherwise = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code);
  bytes[3] = otherwise;
  bytes.writeUInt32LE(operand, 4);
  return bytes;
}

function refuseNetfilter(errno: number): void {
  const program = Buffer.concat([
    instruction(LOAD_WORD, OFFSET.NUMBER),
    instruction(JUMP_IF_EQUAL, syscallNumber("socket", ARCHITECTURE), 5),
    instruction(LOAD_WORD, OFFSET.FAMILY),
    instruction(JUMP_IF_EQUAL, AF_NETLINK, 3),
    instruction(LOAD_WORD, OFFSET.PROTOCOL),
    instruction(JUMP_IF_EQUAL, NETLINK_NETFILTER, 1),
    instruction(RETURN, REFUSE | errno),
    instruction(RETURN, ALLOW),
  ]);
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt16LE(program.length / 8);
  descriptor.writeBigUInt64LE(addressOf(program), 8);
  syscall("seccomp", SET_FILTER, 0, descriptor);
}

/** A list of texts as execve(2) takes it; `keep` holds what it points to. */
function pointers(texts: readonly string[], keep: Uint8Array[]): Buffer {
  const list = Buffer.alloc(8 * (texts.length + 1));
  for (const [index, text] of texts.entries()) {
    const bytes = cString(text);
    keep.push(bytes);
    list.writeBigUInt64LE(addressOf(bytes), 8 * index);
  }
  return list;
}

const [errno = "EPERM", program = "", ...words] = process.argv.slice(2);
refuseNetfilter(ERRNO[errno as keyof typeof ERRNO]);
const keep: Uint8Array[] = [];
const variables = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
syscall("execve", program, pointers([program, ...words], keep), pointers(variables, keep));
