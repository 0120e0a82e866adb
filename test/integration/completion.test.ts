/** Shell completion in the shells themselves, with an engine that has something to name. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import {
  type EngineFixture,
  engineObstacle,
  openEngineFixture,
  TIFFIN,
  until,
} from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: completion: ${engineObstacle}`);
for (const shell of ["bash", "zsh", "fish"]) {
  if (Bun.which(shell) === null)
    console.log(`skipped: completion in ${shell}: it is not installed`);
}

describe.skipIf(engineObstacle !== undefined)("completion", () => {
  let engine: EngineFixture;
  let environment: Record<string, string> = {};

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("busybox:latest");
    await engine.tiffinOk("create", "--name", "front-door", "busybox", "true");
    await engine.tiffinOk("run", "-d", "--name", "front-room", "busybox", "sleep", "1000");
    const bin = join(engine.directory, "bin");
    mkdirSync(bin);
    symlinkSync(TIFFIN, join(bin, "tiffin"));
    environment = {
      ...engine.environment,
      PATH: `${bin}:${process.env["PATH"]}`,
      HOME: engine.directory,
      TERM: "xterm",
    };
  });
  afterAll(async () => await engine.close());

  /** What a shell's own completion function, or program, offers for each line. */
  function shell(program: string, script: string): string[] {
    const { stdout } = Bun.spawnSync([program, "-c", script], {
      env: { ...process.env, ...environment },
      stderr: "inherit",
    });
    return stdout.toString().trimEnd().split("\n");
  }

  test.skipIf(Bun.which("bash") === null)(
    "in bash: commands, names, values, words with colons",
    () => {
      const lines = [
        "tiffin rm front",
        "tiffin stop front",
        "tiffin run busybox:la",
        "tiffin run --pull=",
        "tiffin contai",
        "tiffin rm front-door ",
        "tiffin frob ",
      ];
      const tries = lines.map((line) => `try "${line}"`).join("; ");
      const script = `eval "$(tiffin completion bash)"
      try() { COMP_LINE="$1"; COMP_POINT=\${#COMP_LINE}; COMPREPLY=(); _tiffin; echo "\${COMPREPLY[@]}"; }
      ${tries}`;
      expect(shell("bash", script)).toEqual([
        "front-room front-door",
        "front-room",
        // bash parts words at colons, and completes what comes after the last.
        "latest",
        "always missing never",
        "container",
        "front-room",
      ]);
    },
  );

  test.skipIf(Bun.which("fish") === null)("in fish, with descriptions, and files", () => {
    const lines = ["tiffin rm front-d", "tiffin context sho", "tiffin load -i /etc/passw"];
    const tries = lines.map((line) => `complete -C "${line}"`).join("; ");
    const told = shell("fish", `tiffin completion fish | source; ${tries}`);
    expect(told[0]).toMatch(/^front-door\tbusybox, Created/);
    expect(told[1]).toBe("show\tPrint the name of the current context");
    expect(told.slice(2).some((line) => line.startsWith("/etc/passwd"))).toBe(true);
  });

  test.skipIf(Bun.which("zsh") === null)("in zsh, at a terminal", async () => {
    let shown = "";
    const zsh = Bun.spawn(["zsh", "-f", "-i"], {
      env: { ...process.env, ...environment },
      terminal: {
        cols: 90,
        rows: 30,
        data: (_terminal, data) => void (shown += Buffer.from(data).toString()),
      },
    });
    try {
      const start = `autoload -U compinit; compinit -D -u; eval "$(tiffin completion zsh)"; echo READ"Y"\r`;
      zsh.terminal?.write(start);
      await until("zsh is ready", () => shown.includes("READY\r"));
      // The command line is printed as the shell has completed it.
      zsh.terminal?.write("echo START; echo tiffin-line; print -r -- tiffin; tiffin rm front-d\t");
      await until("zsh has completed the name", () => /front-d\S*oor/.test(stripControls(shown)));
    } finally {
      zsh.kill("SIGKILL");
      await zsh.exited;
    }
  });

  test("knows no engine, starts none, and is quiet about it", async () => {
    const nowhere = `unix://${engine.directory}/nowhere.sock`;
    const ran = await engine.tiffin(["__complete", "--", "rm", ""], {
      env: { TIFFIN_HOST: nowhere },
    });
    expect(ran).toMatchObject({ status: 0, stdout: ":none\n", stderr: "" });
    // The engine that the line itself names.
    const named = ["-H", `unix://${engine.socket}`, "rm", "front-d"];
    const other = await engine.tiffin(["__complete", "--", ...named], {
      env: { TIFFIN_HOST: nowhere },
    });
    expect(other.stdout).toMatch(/^front-door\t/);
    expect((await engine.tiffin(["completion", "tcsh"])).status).toBe(1);
  });
});

/** What a terminal shows of it, without moves and colours. */
function stripControls(text: string): string {
  const escape = String.fromCharCode(27);
  const isShown = (letter: string): boolean => letter >= " ";
  return text
    .split(escape)
    .map((part, index) => (index === 0 ? part : part.replace(/^\[[0-9;?]*[A-Za-z]/, "")))
    .join("")
    .split("")
    .filter(isShown)
    .join("");
}
