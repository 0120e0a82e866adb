/** A client on a terminal of its own, as a person has it. */
import { type EngineFixture, TIFFIN, until } from "./engine-fixture.ts";

export interface TerminalClient {
  /** What the terminal showed so far, as the program wrote it. */
  shown(): string;
  /** Resolves when what came since the last call matches. */
  sees(pattern: RegExp): Promise<void>;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  kill(signal: NodeJS.Signals): void;
  /** Exit status; 128+n when a signal ended it. */
  readonly ended: Promise<number>;
}

/** Starts docker's client or tiffin in a new terminal of 90 columns and 30 rows. */
export function openTerminal(
  engine: EngineFixture,
  program: "docker" | "tiffin",
  args: readonly string[],
): TerminalClient {
  let output = "";
  let seen = 0;
  const client = Bun.spawn([program === "tiffin" ? TIFFIN : program, ...args], {
    env: { ...process.env, ...engine.environment, TERM: "xterm" },
    terminal: {
      cols: 90,
      rows: 30,
      data(_terminal, data) {
        output += Buffer.from(data).toString();
      },
    },
  });
  return {
    shown: () => output,
    sees: async (pattern) => {
      try {
        await until(`${pattern} is seen`, () => pattern.test(output.slice(seen)));
      } catch (error) {
        client.kill("SIGKILL");
        const told = `${String(error)} of ${program} ${args.join(" ")}: ${JSON.stringify(output)}`;
        throw new Error(told, { cause: error });
      }
      seen = output.length;
    },
    type: (text) => void client.terminal?.write(text),
    resize: (columns, rows) => client.terminal?.resize(columns, rows),
    kill: (signal) => client.kill(signal),
    ended: client.exited,
  };
}
