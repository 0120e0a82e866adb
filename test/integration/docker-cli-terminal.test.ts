/** Containers on a real terminal, with docker's client and with ours. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";
import { openTerminal, type TerminalClient } from "./terminal-client.ts";

if (engineObstacle !== undefined) console.log(`skip: terminals: ${engineObstacle}`);
const noDocker = Bun.which("docker") === null;
if (noDocker) console.log("skip: terminals of docker's client: there is no docker");

/** Prompts are asked for by their result: what is typed is echoed, and must not look like it. */
const SHELL = ["busybox", "sh"];
let engine: EngineFixture;

describe.skipIf(engineObstacle !== undefined).each(["docker", "tiffin"] as const)(
  "%s",
  (program) => {
    const skip = program === "docker" && noDocker;
    let open: TerminalClient[] = [];
    const terminal = (...args: string[]): TerminalClient => {
      const client = openTerminal(engine, program, args);
      open.push(client);
      return client;
    };

    beforeAll(async () => {
      engine = await openEngineFixture();
      await engine.importBusybox();
    });
    afterEach(() => {
      // One that a failed test left must not hold its container for ever.
      for (const client of open) client.kill("SIGKILL");
      open = [];
    });
    afterAll(async () => await engine.close());

    test.skipIf(skip)(
      "run -it: a terminal of the client's size, resized with it; exit status",
      async () => {
        const client = terminal("run", "--rm", "-it", ...SHELL);
        await client.sees(/# /);
        client.type("tty; stty size; echo $TERM\n");
        await client.sees(/\/dev\/pts\/0\r\n30 90\r\nxterm\r\n/);
        client.resize(71, 23);
        client.type(
          "for i in $(seq 100); do [ \"$(stty size)\" = '23 71' ] && break; sleep 0.1; done; stty size\n",
        );
        await client.sees(/\r\n23 71\r\n/);
        client.type("exit 6\n");
        expect(await client.ended).toBe(6);
      },
    );

    test.skipIf(skip)(
      "job control: Ctrl-C ends the command, Ctrl-Z stops it, fg goes on, not the shell",
      async () => {
        const client = terminal("run", "--rm", "-it", ...SHELL);
        await client.sees(/# /);
        client.type("echo up$((1 + 1)); sleep 1000\n");
        await client.sees(/up2/);
        client.type("\x03");
        await client.sees(/\^C[^]*# /);
        client.type("echo st=$?\n");
        await client.sees(/st=130/);
        client.type("sh -c 'echo in$((2 + 2)); sleep 1000'\n");
        await client.sees(/in4/);
        client.type("\x1a");
        await client.sees(/Stopped/);
        client.type("jobs; fg\n");
        await client.sees(/Stopped[^]*sleep 1000/);
        client.type("\x03");
        await client.sees(/# /);
        client.type("exit 0\n");
        expect(await client.ended).toBe(0);
      },
    );

    test.skipIf(skip)("Ctrl-C reaches a first process that is no shell", async () => {
      const script = "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done";
      const client = terminal("run", "--rm", "-it", ...SHELL, "-c", script);
      await client.sees(/up/);
      client.type("\x03");
      await client.sees(/caught/);
      expect(await client.ended).toBe(9);
    });

    test.skipIf(skip)("Ctrl-D ends the shell", async () => {
      const client = terminal("run", "--rm", "-it", ...SHELL);
      await client.sees(/# /);
      client.type("\x04");
      expect(await client.ended).toBe(0);
    });

    test.skipIf(skip)(
      "Ctrl-P Ctrl-Q detaches, the container goes on, attach comes back",
      async () => {
        const client = terminal("run", "--name", "left", "-it", ...SHELL);
        await client.sees(/# /);
        client.type("name=kept\n");
        await client.sees(/# /);
        client.type("\x10\x11");
        expect(await client.ended).toBe(0);
        expect(await engine.tiffinOk("inspect", "-f", "{{.State.Running}}", "left")).toBe("true");
        const again = terminal("attach", "left");
        // Something typed tells that it is attached.
        await Bun.sleep(300);
        again.type("echo it is $name; stty size\n");
        await again.sees(/it is kept\r\n30 90\r\n/);
        again.type("exit 7\n");
        expect(await again.ended).toBe(7);
        await engine.tiffinOk("rm", "left");
      },
    );

    test.skipIf(skip)("Ctrl-P alone is typed, and --detach-keys are others", async () => {
      const client = terminal(
        "run",
        "--name",
        "keys",
        "-it",
        "--detach-keys",
        "ctrl-x,x",
        ...SHELL,
        "-c",
        "stty -icanon -echo -ixon; echo up; cat -v",
      );
      await client.sees(/up/);
      client.type("\x10\x11a\n");
      await client.sees(/\^P\^Qa/);
      client.type("\x18y\n");
      await client.sees(/\^Xy/);
      client.type("\x18x");
      expect(await client.ended).toBe(0);
      expect(await engine.tiffinOk("inspect", "-f", "{{.State.Running}}", "keys")).toBe("true");
      await engine.tiffinOk("rm", "-f", "keys");
    });

    test.skipIf(skip)(
      "exec -it: a terminal beside the first process's; detach leaves it",
      async () => {
        await engine.tiffinOk("run", "-d", "--name", "host", "busybox", "sleep", "1000");
        const client = terminal(
          "exec",
          "-it",
          "-e",
          "A=b",
          "-w",
          "/tmp",
          "-u",
          "ann",
          "host",
          "sh",
        );
        await client.sees(/\$ /);
        client.type("id -un; pwd; echo $A; stty size; tty\n");
        await client.sees(/ann\r\n\/tmp\r\nb\r\n30 90\r\n\/dev\/pts\/\d+\r\n/);
        client.resize(100, 40);
        client.type(
          "for i in $(seq 100); do [ \"$(stty size)\" = '40 100' ] && break; sleep 0.1; done; stty size\n",
        );
        await client.sees(/\r\n40 100\r\n/);
        client.type("exit 3\n");
        expect(await client.ended).toBe(3);
        const second = terminal("exec", "-it", "host", "sh", "-c", "echo up; exec sleep 900");
        await second.sees(/up/);
        second.type("\x10\x11");
        await second.ended;
        expect(await engine.tiffinOk("exec", "host", "ps", "-o", "args")).toContain("sleep 900");
        await engine.tiffinOk("rm", "-f", "host");
      },
    );

    test.skipIf(skip)("-t alone: no input; output has the terminal's line ends", async () => {
      const client = terminal("run", "--rm", "-t", "busybox", "echo", "line");
      expect(await client.ended).toBe(0);
      expect(client.shown()).toMatch(/line\r+\n/);
    });

    test.skipIf(skip)(
      "a client that is killed leaves the container, which another attaches to",
      async () => {
        const client = terminal("run", "--name", "orphan", "-it", ...SHELL);
        await client.sees(/# /);
        client.kill("SIGKILL");
        await client.ended;
        const again = terminal("attach", "orphan");
        await Bun.sleep(300);
        again.type("echo $((40 + 2))\n");
        await again.sees(/42/);
        again.type("exit\n");
        expect(await again.ended).toBe(0);
        await until(
          "it has ended",
          async () =>
            (await engine.tiffinOk("inspect", "-f", "{{.State.Running}}", "orphan")) === "false",
        );
        await engine.tiffinOk("rm", "orphan");
      },
    );
  },
);
