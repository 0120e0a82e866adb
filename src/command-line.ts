import { realpathSync } from "node:fs";
import { standardOutput } from "./cli/output.ts";
import { ownProcess } from "./cli/own-process.ts";
import { runProgram } from "./cli/program.ts";
import type { World } from "./cli/command.ts";
import packageJson from "../package.json" with { type: "json" };

/** The command line, which is a client of the API, or the engine behind it. What a command does not need is not loaded. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const output = standardOutput();
  const world: World = {
    environment: process.env,
    output,
    self: ownCommand(),
    version: packageJson.version,
    ioctl: async () => {
      const syscallRaw = await loadSyscall();
      return syscallRaw && ((fd, request, argument) => syscallRaw("ioctl", fd, request, argument));
    },
    flock: async () => {
      const syscallRaw = await loadSyscall();
      return syscallRaw && ((fd, operation) => syscallRaw("flock", fd, operation));
    },
    ...ownProcess,
    runEngine: async (places, settings) => {
      const { runEngine } = await import("./serve.ts");
      return runEngine(places, settings, { command: ownCommand(), version: packageJson.version });
    },
  };
  return runProgram(words, world);
}

/** This program as a command: the executable of a release, or Bun with this file in a checkout. */
function ownCommand(): string[] {
  return import.meta.url.includes("/$bunfs/")
    ? [process.execPath]
    : [process.execPath, realpathSync(new URL("main.ts", import.meta.url).pathname)];
}

/** Undefined where the addon is missing: a client of an engine elsewhere does without it. */
async function loadSyscall(): Promise<typeof import("./kernel/syscall.ts").syscallRaw | undefined> {
  try {
    return (await import("./kernel/syscall.ts")).syscallRaw;
  } catch {
    return undefined;
  }
}
