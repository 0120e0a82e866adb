import { read } from "node:fs";

const READ_BYTES = 64 << 10;
const RETRY_MS = 5;

/** Standard input as it comes, to its end. A read that still waits when the program ends is given up with the process. */
export async function* standardInput(): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(READ_BYTES);
  for (;;) {
    const size = await readSome(buffer);
    if (size === 0) return;
    yield Buffer.from(buffer.subarray(0, size));
  }
}

async function readSome(buffer: Buffer): Promise<number> {
  for (;;) {
    const result = await new Promise<number | string>((resolve, reject) => {
      read(0, buffer, 0, buffer.length, null, (error, size) => {
        if (error === null) resolve(size);
        // A terminal that hangs up, or a descriptor that is closed, is the end of the input.
        else if (["EIO", "EBADF", "EISDIR"].includes(error.code ?? "")) resolve(0);
        else if (error.code === "EAGAIN" || error.code === "EINTR") resolve("again");
        else reject(error);
      });
    });
    if (typeof result === "number") return result;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
