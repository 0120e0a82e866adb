import { AF } from "../../kernel/namespace-socket.ts";

/** struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)). @param address an IP address, without a zone */
export function socketAddress(address: string, port: number): Buffer {
  const isV6 = address.includes(":");
  const bytes = Buffer.alloc(isV6 ? 28 : 16);
  bytes.writeUInt16LE(isV6 ? AF.INET6 : AF.INET, 0);
  bytes.writeUInt16BE(port, 2);
  if (isV6) groupsOf(address).forEach((group, index) => bytes.writeUInt16BE(group, 8 + index * 2));
  else address.split(".").forEach((byte, index) => bytes.writeUInt8(Number(byte), 4 + index));
  return bytes;
}

/** The eight groups of an IPv6 address; the URL parser brings every form of it into one. */
function groupsOf(address: string): number[] {
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = "", after] = plain.split("::");
  const left = numbersOf(before);
  const right = numbersOf(after ?? "");
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function numbersOf(groups: string): number[] {
  return groups === "" ? [] : groups.split(":").map((group) => Number.parseInt(group, 16));
}
