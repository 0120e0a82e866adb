/** The frames between a supervisor and its clients (native/launch.h): type and size, 4 bytes each, then the payload. */
const HEADER_SIZE = 8;

const TO_SUPERVISOR = { stdin: 0, closeStdin: 1, resize: 2, subscribe: 3, kill: 4 } as const;
const FROM_SUPERVISOR = ["stdout", "stderr", "exit", "report"] as const;

/** What a plan tells of itself before its end (tell-stage.ts): a number of 4 bytes. */
export const STAGE = 100;

export type FrameType = (typeof FROM_SUPERVISOR)[number] | "stage";

export interface Frame {
  readonly type: FrameType;
  /** "stdout" and "stderr" come in pieces as they arrive, all others whole. */
  readonly payload: Uint8Array;
}

/** Output streams as the bits of a subscription. */
export function streamBits(streams: { stdout: boolean; stderr: boolean }): number {
  return (streams.stdout ? 1 : 0) | (streams.stderr ? 2 : 0);
}

function frame(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_SIZE + payload.length);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(payload.length, 4);
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}

export function stdinFrame(data: Uint8Array): Buffer {
  return frame(TO_SUPERVISOR.stdin, data);
}

export function closeStdinFrame(): Buffer {
  return frame(TO_SUPERVISOR.closeStdin, new Uint8Array());
}

export function resizeFrame(rows: number, columns: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  return frame(TO_SUPERVISOR.resize, size);
}

export function subscribeFrame(streams: { stdout: boolean; stderr: boolean }): Buffer {
  return frame(TO_SUPERVISOR.subscribe, Uint8Array.of(streamBits(streams)));
}

export function killFrame(signal: number): Buffer {
  return frame(TO_SUPERVISOR.kill, Uint8Array.of(signal));
}

/** Cuts what a supervisor sends into frames. */
export class FrameReader {
  private type: FrameType | undefined;
  private missing = 0;
  private pending: Uint8Array = new Uint8Array();
  private readonly onFrame: (frame: Frame) => void;

  constructor(onFrame: (frame: Frame) => void) {
    this.onFrame = onFrame;
  }

  push(data: Uint8Array): void {
    let rest = this.pending.length === 0 ? data : Buffer.concat([this.pending, data]);
    this.pending = new Uint8Array();
    while (rest.length > 0) {
      const used = this.type === undefined ? this.header(rest) : this.payload(this.type, rest);
      if (used === 0) {
        this.pending = rest;
        return;
      }
      rest = rest.subarray(used);
    }
  }

  private header(bytes: Uint8Array): number {
    if (bytes.length < HEADER_SIZE) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
    const type = view.getUint32(0, true);
    this.type = type === STAGE ? "stage" : FROM_SUPERVISOR[type];
    this.missing = view.getUint32(4, true);
    return HEADER_SIZE;
  }

  private payload(type: FrameType, bytes: Uint8Array): number {
    const whole = type !== "stdout" && type !== "stderr";
    if (whole && bytes.length < this.missing) return 0;
    const part = bytes.subarray(0, this.missing);
    this.missing -= part.length;
    if (this.missing === 0) this.type = undefined;
    this.onFrame({ type, payload: part });
    return part.length;
  }
}
