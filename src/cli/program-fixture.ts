import type { World } from "./command.ts";
import { runProgram } from "./program.ts";

/** Runs a command line without an engine: what it printed, and its exit status. */
export async function testProgram(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ status: number; out: string; error: string }> {
  let out = "";
  let error = "";
  const decode = (data: string | Uint8Array): string =>
    typeof data === "string" ? data : Buffer.from(data).toString();
  const world: World = {
    environment,
    output: {
      out: async (data) => {
        out += decode(data);
      },
      error: async (data) => {
        error += decode(data);
      },
      outIsTerminal: async () => false,
      inIsTerminal: async () => false,
    },
    self: [],
    version: "1.2.3",
    ioctl: async () => undefined,
    flock: async () => undefined,
    onSignal: () => undefined,
    exit: () => undefined,
    runEngine: async (places, settings) => {
      out += JSON.stringify({ ...places, ...settings });
      return 0;
    },
  };
  const status = await runProgram(words, world);
  return { status, out, error };
}
