import type { OutputStream } from "../engine/types.ts";

const headerBytes = 8;
const streamNumber: Readonly<Record<OutputStream, number>> = { stdout: 1, stderr: 2 };

/**
 * One frame of docker's multiplexed stream: an 8-byte header (stream number, three zeros, length as a 32-bit
 * big-endian number) and the bytes (Engine API, "Attach to a container", "Stream format").
 */
export function encodeFrame(stream: OutputStream, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + data.length);
  frame.writeUInt32BE(streamNumber[stream] * 0x1000000, 0);
  frame.writeUInt32BE(data.length, 4);
  frame.set(data, headerBytes);
  return frame;
}
