import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Attachment } from "../../network/network.ts";
import { runDirectory } from "../container-directories.ts";
import type { Places } from "../types.ts";

/** In a container's run directory: the file and its unfinished form. It goes with the run. */
export const ATTACHMENT_FILES = ["network", "network.tmp"] as const;

/** Before the run begins, so that whoever finds it running knows its addresses and ports. */
export function writeAttachment(places: Places, id: string, attachment: Attachment): void {
  const [name, unfinished] = ATTACHMENT_FILES.map((file) => `${runDirectory(places, id)}/${file}`);
  writeFileSync(String(unfinished), JSON.stringify(attachment), { mode: 0o600 });
  renameSync(String(unfinished), String(name));
}

/** undefined: it runs without any. */
export function readAttachment(places: Places, id: string): Attachment | undefined {
  try {
    const text = readFileSync(`${runDirectory(places, id)}/${ATTACHMENT_FILES[0]}`, "utf8");
    return JSON.parse(text) as Attachment;
  } catch {
    // No such file: the container has no network of its own.
    return undefined;
  }
}
