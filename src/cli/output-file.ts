import { open, rename, rm } from "node:fs/promises";
import { fileError } from "./file-error.ts";

/** Writes a body to a file that appears when it is whole. @throws in the system's words */
export async function writeOutputFile(
  body: AsyncIterable<Uint8Array>,
  file: string,
): Promise<void> {
  const unfinished = `${file}.unfinished-${process.pid}`;
  try {
    const handle = await open(unfinished, "wx", 0o600);
    try {
      for await (const chunk of body) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw fileError("write", file, error);
  }
}
