import { MAX_DOCUMENT_BYTES } from "../images/manifest.ts";

/** The body of an answer that is held in memory as a whole; undefined when it has more bytes than any honest one. */
export async function readBody(response: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early gives the connection up.
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_DOCUMENT_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A body as JSON; undefined when it is none, or too large. */
export async function readJsonBody(response: Response): Promise<unknown> {
  const bytes = await readBody(response);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    // What a proxy or a login page says to people.
    return undefined;
  }
}
