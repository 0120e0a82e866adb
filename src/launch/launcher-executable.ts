import { readFileSync } from "node:fs";
// In a checkout the file's path; in the release executable `bun build` embeds the file.
import launchPath from "../../native/build/launch" with { type: "file" };

/** The bytes of the launcher (native/launch.c), for {@link createLauncher}. */
export function launcherExecutable(): Uint8Array {
  return readFileSync(launchPath);
}
