import { basename } from "node:path";
import packageJson from "../package.json" with { type: "json" };

/**
 * The start of the program: the command line with the engine behind it, or the OCI runtime, which needs neither. Both live for
 * a few milliseconds, so neither loads the other.
 */
async function main(): Promise<number> {
  const words = process.argv.slice(2);
  // A link of this name is what podman and containerd take for a runtime.
  const isRuntime = basename(process.argv0) === "tiffin-oci";
  if (isRuntime || words[0] === "oci") {
    const { runOci } = await import("./oci/index.ts");
    return runOci(isRuntime ? words : words.slice(1), packageJson.version);
  }
  const { runCommandLine } = await import("./command-line.ts");
  return runCommandLine(words);
}

// Waiting reads, such as one of a terminal, do not keep the program: it ends when its command has.
process.exit(await main());
