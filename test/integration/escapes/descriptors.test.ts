/**
 * Attacks through what the launcher brings along: its program (CVE-2019-5736), the process that is not yet confined
 * (CVE-2016-9962), its open files (CVE-2024-21626).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AttackFixture,
  attackObstacle,
  execThroughApi,
  openAttackFixture,
} from "./attack-fixture.ts";

if (attackObstacle !== undefined) {
  console.log(`skipped: attacks through descriptors: ${attackObstacle}`);
}

/** A launcher has some thirty descriptors; what it brings lies among the first. */
const NUMBERS = Array.from({ length: 24 }, (_, index) => index + 3);
const UP = "../../../../../../../../../..";

const WATCHERS: (readonly [name: string, options: readonly string[], sees: RegExp])[] = [
  ["by default", [], /WATCHING/],
  ["with the host's ids", ["--userns=host"], /WATCHING/],
  ["with SYS_PTRACE", ["--cap-add=SYS_PTRACE"], /WATCHING/],
  // Here the kernel lets it look: it sees the launcher, and finds nothing that is the host's.
  ["with SYS_PTRACE and the host's ids", ["--userns=host", "--cap-add=SYS_PTRACE"], /LAUNCHER/],
];

describe.skipIf(attackObstacle !== undefined)("descriptors of the launcher", () => {
  let attack: AttackFixture;

  beforeAll(async () => {
    attack = await openAttackFixture();
    const { engine } = attack;
    await engine.tiffinOk("run", "-d", "--name", "own", "attack", "sleep", "1000");
    const host = ["--name", "host", "--userns=host"];
    await engine.tiffinOk("run", "-d", ...host, "attack", "sleep", "1000");
  });
  afterAll(async () => await attack.close());

  test.each(["own", "host"])(
    "CVE-2024-21626: none is a way out as the working directory of an exec (%s ids)",
    async (name) => {
      const { engine, marker, secret } = attack;
      const Cmd = ["sh", "-c", `cat ./${UP}${marker}; pwd`];
      for (const number of NUMBERS) {
        const WorkingDir = `/proc/self/fd/${number}`;
        const { text } = await execThroughApi(engine, name, { Cmd, WorkingDir });
        expect({ number, escaped: text.includes(secret) }).toEqual({ number, escaped: false });
        expect(text).toContain(`enter the working directory ${WorkingDir}`);
      }
      // The script does tell when it gets through.
      const copy = `mkdir -p ${join(marker, "..")} && echo ${secret} >${marker}`;
      await execThroughApi(engine, name, { Cmd: ["sh", "-c", copy] });
      const { text } = await execThroughApi(engine, name, { Cmd, WorkingDir: "/tmp" });
      expect(text).toContain(secret);
    },
  );

  test("CVE-2024-21626: none is a way out as the working directory of a run, also behind a link", async () => {
    const { engine, marker } = attack;
    const links = Object.fromEntries(NUMBERS.map((n) => [`w${n}`, `/proc/self/fd/${n}`]));
    await attack.image("workdir", { links });
    for (const directory of NUMBERS.slice(0, 8).flatMap((n) => [`/proc/self/fd/${n}`, `/w${n}`])) {
      const options = ["--rm", "--userns=host", "-w", directory];
      const ran = await engine.tiffin(["run", ...options, "workdir", "cat", `./${UP}${marker}`]);
      const failed = ran.status !== 0;
      expect({ directory, out: ran.stdout, failed }).toEqual({ directory, out: "", failed: true });
    }
  });

  test("CVE-2024-21626: none is a way to a program of the host, nor to an interpreter", async () => {
    const { engine } = attack;
    const program = join(engine.directory, "host-program");
    writeFileSync(program, "#!/bin/sh\necho ESCAPED\n");
    chmodSync(program, 0o755);
    const lines = NUMBERS.map(
      (n) => `printf '#!/proc/self/fd/${n}/${UP}${program}\\n' >/p${n}; chmod +x /p${n}`,
    );
    await execThroughApi(engine, "host", { Cmd: ["sh", "-c", lines.join("\n")] });
    for (const number of NUMBERS) {
      for (const path of [`/proc/self/fd/${number}/${UP}${program}`, `/p${number}`]) {
        const { text } = await execThroughApi(engine, "host", { Cmd: [path] });
        expect({ path, escaped: text.includes("ESCAPED") }).toEqual({ path, escaped: false });
        expect(text).toMatch(/[Cc]annot run/);
      }
    }
  });

  test("a program has 0, 1 and 2, and no other", async () => {
    const list = ["sh", "-c", "ls -1 /proc/$$/fd; true"];
    const { engine } = attack;
    const runs = [[], ["-i"], ["-t"], ["--init"], ["--userns=host"], ["--userns=host", "-t"]];
    for (const options of [...runs, ["--privileged"]]) {
      const told = await engine.tiffinOk("run", "--rm", ...options, "attack", ...list);
      expect([options, told.split(/\s+/).join()]).toEqual([options, "0,1,2"]);
    }
    for (const name of ["own", "host"]) {
      for (const options of [[], ["-i"], ["-t"], ["--privileged"]]) {
        const told = await engine.tiffinOk("exec", ...options, name, ...list);
        expect([name, options, told.split(/\s+/).join()]).toEqual([name, options, "0,1,2"]);
      }
    }
  });

  test.each(WATCHERS)(
    "CVE-2019-5736 and CVE-2016-9962: a container that watches execs come in gets hold of nothing, %s",
    async (_name, options, sees) => {
      const { engine, marker } = attack;
      // The bait is the launcher itself, as the interpreter of a program of the container's.
      const script = `printf '#!/proc/self/exe\\n' >/bait; chmod +x /bait; sleep 1000 & exec watch-proc ${marker} 1000`;
      const run = ["run", "-d", "--init", ...options, "attack", "sh", "-c", script];
      const id = await engine.tiffinOk(...run);
      for (let round = 0; round < 10; round++) {
        await execThroughApi(engine, id, { Cmd: ["true"] });
        const { text } = await execThroughApi(engine, id, { Cmd: ["/bait"] });
        expect(text).not.toContain("ESCAPED");
      }
      expect((await engine.tiffin(["exec", "-t", id, "true"])).status).toBe(0);
      const log = await engine.tiffinOk("logs", id);
      expect(log).toMatch(sees);
      expect(log).not.toMatch(/ROOT|DIRECTORY|OVERWRITTEN/);
      await engine.tiffinOk("rm", "-f", id);
      expect(await engine.tiffinOk("run", "--rm", "attack", "echo", "whole")).toBe("whole");
    },
  );

  test("a process that has the host's root is what the watcher looks for", async () => {
    const options = ["--privileged", "--pid=host"];
    const told = await attack.told(options, `watch-proc ${attack.marker} 2 | head -n 3`);
    expect(told).toMatch(/ROOT \/proc\/\d+\/root/);
  });
});
