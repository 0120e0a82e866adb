/** Attacks on the processes beside a container: the engine, its supervisors, other containers, the client's terminal. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { syscallNumber } from "../../../src/base/syscall-number.ts";
import { TIFFIN } from "../engine-fixture.ts";
import { type AttackFixture, attackObstacle, openAttackFixture } from "./attack-fixture.ts";

if (attackObstacle !== undefined) console.log(`skipped: attacks on neighbours: ${attackObstacle}`);

const KEYCTL = syscallNumber("keyctl", process.arch === "arm64" ? "arm64" : "x64");
const SESSION = -3;
const USER = -4;

describe.skipIf(attackObstacle !== undefined)("neighbours", () => {
  let attack: AttackFixture;
  let victim = "";
  /** Of the victim's first process and its supervisor, on the host. */
  let victimPid = 0;
  let supervisorPid = 0;

  beforeAll(async () => {
    attack = await openAttackFixture();
    const { engine } = attack;
    victim = await engine.tiffinOk(
      "run",
      "-d",
      "-e",
      `SECRET=${attack.secret}`,
      "attack",
      "sleep",
      "1000",
    );
    victimPid = Number(await engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", victim));
    const status = readFileSync(`/proc/${victimPid}/status`, "utf8");
    supervisorPid = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
  });
  afterAll(async () => await attack.close());

  test("are not seen: a container's /proc has its own processes alone", async () => {
    for (const options of [[], ["--userns=host"], ["--privileged"]]) {
      const { stdout } = await attack.inside(options, "exec cat /proc/[0-9]*/comm");
      expect(stdout).toBe("cat\n");
    }
  });

  test("cannot be touched by their numbers, also where those are seen", async () => {
    const [pid, others] = [victimPid, [supervisorPid, attack.engine.pid(), process.pid]];
    const touch = (pids: readonly number[]): string =>
      pids.map((one) => `touch-process ${one}`).join("\n");
    const attempts: (readonly [options: readonly string[], script: string])[] = [
      [[], touch([pid, ...others])],
      [["--cap-add=SYS_PTRACE"], touch([pid, ...others])],
      [["--pid=host", "-u", "1000"], touch([pid, ...others])],
      // Root with the host's ids owns the user namespaces of containers (user_namespaces(7)), so these it may touch.
      [["--pid=host"], touch(others)],
    ];
    for (const [options, script] of attempts) {
      const told = await attack.told(options, script);
      expect([options, told.match(/WORKS.*/g)]).toEqual([options, null]);
      expect(told).toContain("refused ptrace");
    }
    const given = await attack.told(["--pid=host", "--cap-add=SYS_PTRACE"], touch([pid]));
    expect(given).toContain("WORKS ptrace");
    expect(given).toContain("WORKS /proc/PID/mem");
  });

  test("get no signals", async () => {
    const kill = [victimPid, supervisorPid, attack.engine.pid()]
      .map((pid) => `kill -9 ${pid}`)
      .join("; ");
    for (const options of [[], ["--userns=host"], ["--privileged"]])
      await attack.inside(options, `${kill}; kill -9 -1`);
    for (const pid of [victimPid, supervisorPid, attack.engine.pid()]) {
      expect(readFileSync(`/proc/${pid}/stat`, "utf8")).not.toMatch(/\) Z/);
    }
  });

  test("CVE-2020-15257: listen on no abstract socket, and on no other that a container's files lead to", async () => {
    const sockets = [supervisorPid, attack.engine.pid()].flatMap(socketsOf);
    expect(sockets.length).toBeGreaterThan(0);
    const script = "cat /proc/net/unix";
    const told = await attack.told(["--network=host"], script);
    const lines = told.split("\n").map((line) => line.trim().split(/\s+/));
    const theirs = lines.filter((fields) => sockets.includes(fields[6] ?? ""));
    // The container does see the host's sockets, those of the engine among them, all with a path or without a name.
    expect(theirs.length).toBeGreaterThan(0);
    expect(theirs.map((fields) => fields[7] ?? "").filter((name) => name.startsWith("@"))).toEqual(
      [],
    );
    const paths = theirs.map((fields) => fields[7] ?? "").filter((name) => name.startsWith("/"));
    expect(paths).toContain(attack.engine.socket);
    const look = await attack.told(
      ["--network=host"],
      paths.map((path) => `ls ${path} && echo FOUND`).join("\n"),
    );
    expect(look).not.toContain("FOUND");
  });

  test("keep their keys: a run and an exec have session keyrings of their own", async () => {
    const { engine } = attack;
    const open = ["--security-opt", "seccomp=unconfined"];
    const session = `try-call native ${KEYCTL} 0 ${SESSION} 0`;
    const ours = Bun.spawnSync([
      attack.program("try-call"),
      "native",
      `${KEYCTL}`,
      "0",
      `${SESSION}`,
      "0",
    ]);
    const engineKeyring = ours.stdout.toString().trim();
    for (const ids of [[], ["--userns=host"]]) {
      const id = await engine.tiffinOk(
        "run",
        "-d",
        ...open,
        ...ids,
        "attack",
        "sh",
        "-c",
        `${session}; exec sleep 1000`,
      );
      const exec = await engine.tiffinOk("exec", id, "sh", "-c", session);
      const first = await engine.tiffinOk("logs", id);
      const other = await attack.told([...open, ...ids], session);
      const all = [engineKeyring, first, exec, other.trim()];
      expect(all.every((told) => /^result [1-9]\d*$/.test(told) || told === engineKeyring)).toBe(
        true,
      );
      expect(new Set(all).size).toBe(4);
      await engine.tiffinOk("rm", "-f", id);
    }
    // With the filter, there are no keys at all.
    expect(await attack.told([], session)).toBe("errno 1\n");
  });

  test("keep their keys: the keyring of user 0 is each container's own", async () => {
    const user = `try-call native ${KEYCTL} 0 ${USER} 1`;
    const open = ["--security-opt", "seccomp=unconfined"];
    const told = [await attack.told(open, user), await attack.told(open, user)];
    expect(told[0]).toMatch(/^result [1-9]/);
    expect(told[0]).not.toBe(told[1]);
  });

  test("the client's terminal takes no input from the container (TIOCSTI)", async () => {
    // A shell that runs the client, and then reads what waits in its terminal.
    const read = 'read -t 2 line; echo "READ[$line]"';
    const run = (where: string): string =>
      `${where} push-input "typed by the container\n"; ${read}`;
    const client = `${TIFFIN} run --rm -it attack`;
    expect(await onTerminal(run(client), attack)).toMatch(/pushed|TIOCSTI/);
    expect(await onTerminal(run(client), attack)).toContain("READ[]");
    // A program that is given the terminal itself types into it, where the kernel still allows that.
    const knob = "/proc/sys/dev/tty/legacy_tiocsti";
    if (!existsSync(knob) || readFileSync(knob, "utf8").trim() === "1") {
      const given = await onTerminal(
        run(attack.program("push-input").replace(/push-input$/, "env")),
        attack,
      );
      expect(given).toContain("READ[typed by the container]");
    }
    const device = await attack.told(["-t"], "tty; stat -c %t:%T /dev/console; ls /dev/pts");
    expect(device.replaceAll("\r", "")).toMatch(/^\/dev\/pts\/0\n88:0\n0\s+ptmx/);
    const without = await attack.told(["-i"], "tty; ls /dev/tty && (: </dev/tty) && echo HAS");
    expect(without).not.toContain("HAS");
  });
});

/** Numbers of the sockets that a process has open. */
function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

/** Runs a shell script in a terminal of its own; what the terminal showed. */
async function onTerminal(script: string, { engine, program }: AttackFixture): Promise<string> {
  let shown = "";
  const path = `${dirname(program("busybox"))}:${process.env["PATH"]}`;
  const shell = Bun.spawn([program("busybox"), "sh", "-c", script], {
    env: { ...process.env, ...engine.environment, PATH: path },
    terminal: {
      cols: 90,
      rows: 30,
      data: (_terminal, data) => void (shown += Buffer.from(data).toString()),
    },
  });
  await shell.exited;
  return shown;
}
