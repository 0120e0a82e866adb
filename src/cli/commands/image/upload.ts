import { open } from "node:fs/promises";
import { openError } from "../../file-error.ts";
import { standardInput } from "../../input.ts";

const READ_BYTES = 1 << 20;

/** A file's bytes, or standard input's. @throws when the file cannot be opened, before anything is sent */
export async function upload(file: string | undefined): Promise<AsyncIterable<Uint8Array>> {
  if (file === undefined) return standardInput();
  try {
    const handle = await open(file);
    return readFile(handle);
  } catch (error) {
    throw openError(file, error);
  }
}

async function* readFile(handle: Awaited<ReturnType<typeof open>>): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
