/**
 * Attacks through what is mounted: masks that are led astray (CVE-2025-31133), the console (CVE-2025-52565), writes to
 * /proc that go elsewhere (CVE-2025-52881), targets that are links (CVE-2019-16884, CVE-2021-30465).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type AttackFixture, attackObstacle, openAttackFixture } from "./attack-fixture.ts";

if (attackObstacle !== undefined) console.log(`skipped: attacks through mounts: ${attackObstacle}`);

const CORE_PATTERN = "/proc/sys/kernel/core_pattern";

describe.skipIf(attackObstacle !== undefined)("mounts", () => {
  let attack: AttackFixture;
  const hostPattern = readFileSync(CORE_PATTERN, "utf8");
  const hostMounts = () => readFileSync("/proc/self/mountinfo", "utf8").split("\n").length;

  beforeAll(async () => {
    attack = await openAttackFixture();
  });
  afterAll(async () => await attack.close());

  describe("masks", () => {
    const ROOTS = ["", "/proc/self/root", "/proc/1/root", "/proc/thread-self/root", "/proc/1/cwd"];
    const read = ROOTS.map((root) => `wc -c <${root}/proc/interrupts`).join("; ");

    test("hide the same whatever the way that leads there", async () => {
      for (const options of [[], ["--userns=host"]]) {
        const counts = await attack.told(options, read);
        expect(counts.trim().split(/\s+/)).toEqual(ROOTS.map(() => "0"));
      }
      const open = await attack.told(["--security-opt", "systempaths=unconfined"], read);
      expect(open).not.toMatch(/^0$/m);
    });

    test("cannot be taken off, nor passed by a proc of one's own", async () => {
      const tries = [
        "umount /proc/interrupts",
        "umount -l /proc",
        "mkdir /p; mount -t proc proc /p",
        "mount --bind /proc /p",
        "mount -o remount,rw /proc/sys",
      ];
      for (const options of [[], ["--userns=host"]]) {
        for (const command of tries) {
          const told = await attack.told(options, `(${command}) && echo DONE`);
          expect({ command, told }).toEqual({ command, told: expect.not.stringContaining("DONE") });
        }
      }
      // Without the filter it may make a user namespace, and still gets no proc that shows more.
      const script =
        "unshare -Urpfm sh -c 'mount -t proc proc /proc && echo DONE; wc -c </proc/interrupts'";
      const told = await attack.told(["--security-opt", "seccomp=unconfined"], script);
      expect(told).not.toContain("DONE");
      expect(told).toMatch(/^0$/m);
    });

    test("CVE-2025-31133: an image's /dev/null that leads elsewhere changes none of them", async () => {
      await attack.image("null", {
        links: { "dev/null": CORE_PATTERN, "dev/console": CORE_PATTERN },
      });
      const script = `stat -c %t:%T /dev/null; ${read}; echo x >/dev/null; echo '|/x' >${CORE_PATTERN}; cat ${CORE_PATTERN}`;
      const ran = await attack.engine.tiffin(["run", "--rm", "null", "sh", "-c", script]);
      expect(ran.stdout).toBe(`1:3\n${"0\n".repeat(ROOTS.length)}${hostPattern}`);
      expect(ran.stderr).toMatch(/core_pattern: (Read-only|Permission denied)/);
    });

    test("CVE-2025-31133: nor does a /dev that is a directory of the attacker's", async () => {
      const directory = join(attack.engine.directory, "dev");
      mkdirSync(directory);
      for (const name of ["null", "console", "ptmx"])
        symlinkSync(CORE_PATTERN, join(directory, name));
      const script = `${read}; echo '|/x' >/dev/null; echo '|/x' >/dev/console`;
      for (const options of [[], ["--userns=host"], ["-t"], ["-t", "--userns=host"]]) {
        const told = await attack.told(["-v", `${directory}:/dev`, ...options], script);
        // With a terminal it may also not start at all: there is none to be had from that /dev.
        expect(told).toMatch(/^(0\r?\n)+|Cannot start/);
        expect(told).not.toMatch(/^[1-9]\d*\r?$/m);
        expect(readFileSync(CORE_PATTERN, "utf8")).toBe(hostPattern);
      }
    });

    test("an image whose /proc, /sys or /dev is a link gets what every image gets, or nothing", async () => {
      const links = [
        { proc: "/etc" },
        { proc: "/sys" },
        { proc: "../../../../../proc" },
        { sys: "/proc" },
        { dev: "/proc" },
        { proc: "dev", sys: "dev" },
        { proc: attack.engine.directory },
      ];
      for (const [index, link] of links.entries()) {
        await attack.image(`link${index}`, { links: { ...link } });
        const script = `for r in '' /etc /sys /dev; do wc -c <$r/interrupts; wc -c <$r/proc/interrupts; echo '|/x' >$r/sys/kernel/core_pattern; done 2>/dev/null; echo END`;
        const ran = await attack.engine.tiffin(["run", "--rm", `link${index}`, "sh", "-c", script]);
        const shown = ran.stdout.split("\n").filter((line) => /^[1-9]/.test(line));
        expect({ link, shown }).toEqual({ link, shown: [] });
        expect(readFileSync(CORE_PATTERN, "utf8")).toBe(hostPattern);
      }
      expect(hostMounts()).toBeGreaterThan(0);
    });
  });

  test("CVE-2025-52565: the console is the container's own terminal, whatever the image has there", async () => {
    await attack.image("console", {
      links: { "dev/console": CORE_PATTERN, "dev/pts/0": CORE_PATTERN, "dev/ptmx": CORE_PATTERN },
    });
    const script = `stat -c %t /dev/console; stat -c %t /dev/pts/0; echo '|/x' >/dev/console; cat ${CORE_PATTERN}`;
    const told = await attack.engine.tiffinOk("run", "--rm", "-t", "console", "sh", "-c", script);
    expect(told.replaceAll("\r", "")).toBe(`88\n88\n|/x\n${hostPattern.trimEnd()}`);
  });

  describe("CVE-2025-52881: what is written to /proc", () => {
    const ask = ["--sysctl", "net.ipv4.ip_forward=1"];

    test("reaches the kernel also where the image leads /proc elsewhere", async () => {
      await attack.image("elsewhere", {
        links: { proc: "/place" },
        files: { "place/sys/net/ipv4/ip_forward": "0" },
      });
      const read = ["cat", "/place/sys/net/ipv4/ip_forward"];
      expect(await attack.engine.tiffinOk("run", "--rm", ...ask, "elsewhere", ...read)).toBe("1");
    });

    test("cannot be caught by a mount inside of /proc, written so or behind a link", async () => {
      const directory = join(attack.engine.directory, "catch");
      mkdirSync(join(directory, "net/ipv4"), { recursive: true });
      writeFileSync(join(directory, "net/ipv4/ip_forward"), "0");
      await attack.image("catch", {
        links: { data: "/proc/sys", all: "/proc", deep: "all/self/../sys/net" },
      });
      for (const target of [
        "/proc/sys",
        "/proc/sys/net",
        "/proc",
        "/data",
        "/all",
        "/deep",
        "/all/sys",
      ]) {
        const options = ["--rm", ...ask, "-v", `${directory}:${target}`];
        const ran = await attack.engine.tiffin(["run", ...options, "catch", "true"]);
        expect({ target, refused: ran.status === 125, proc: /\/proc/.test(ran.stderr) }).toEqual({
          target,
          refused: true,
          proc: true,
        });
        expect(readFileSync(join(directory, "net/ipv4/ip_forward"), "utf8")).toBe("0");
      }
      const tmpfs = await attack.engine.tiffin([
        "run",
        "--rm",
        "--tmpfs",
        "/data",
        "catch",
        "true",
      ]);
      expect(tmpfs.status).toBe(125);
      // What programs that show a container's own figures replace may be replaced.
      const uptime = join(attack.engine.directory, "uptime");
      writeFileSync(uptime, "1.00 1.00\n");
      const replaced = [
        "run",
        "--rm",
        "-v",
        `${uptime}:/proc/uptime`,
        "attack",
        "cat",
        "/proc/uptime",
      ];
      expect(await attack.engine.tiffinOk(...replaced)).toBe("1.00 1.00");
    });
  });

  test("a target that is a link stays inside, absolute or upwards", async () => {
    const { engine } = attack;
    const [source, victim] = ["source", "victim"].map((name) => join(engine.directory, name)) as [
      string,
      string,
    ];
    mkdirSync(source);
    mkdirSync(victim);
    writeFileSync(join(source, "theirs"), "");
    await attack.image("targets", {
      links: {
        absolute: victim,
        up: `../../../../../../../..${victim}`,
        root: "/",
        above: "..",
        file: join(victim, "new"),
        loop: "loop",
      },
      files: { [join(victim, "theirs-before")]: "" },
    });
    const before = hostMounts();
    for (const target of ["absolute", "up", "root", "above", "file", "loop", "absolute/deeper"]) {
      for (const options of [[], ["--privileged"]]) {
        const mount = ["-v", `${source}:/${target}`];
        const run = [
          "run",
          "--rm",
          ...options,
          ...mount,
          "targets",
          "sh",
          "-c",
          `ls /; ls ${victim}`,
        ];
        await engine.tiffin(run);
        expect({ target, made: readdirSync(victim) }).toEqual({ target, made: [] });
        expect(hostMounts()).toBe(before);
      }
    }
    // The links work as links do: inside.
    const inside = ["run", "--rm", "-v", `${source}:/absolute`, "targets", "ls", victim];
    expect(await engine.tiffinOk(...inside)).toBe("theirs");
    expect(existsSync(join(victim, "theirs"))).toBe(false);
  });

  test("a link that another container moves while it is mounted on leads nowhere", async () => {
    const { engine, marker } = attack;
    const shared = join(engine.directory, "shared");
    mkdirSync(join(shared, "place"), { recursive: true });
    const flip =
      "cd /v; while :; do mv place old; ln -s /../../../../../../../tmp place; rm place; mv old place; done";
    const id = await engine.tiffinOk("run", "-d", "-v", `${shared}:/v`, "attack", "sh", "-c", flip);
    for (let round = 0; round < 8; round++) {
      const options = [
        "--rm",
        "-v",
        `${shared}:/v`,
        "-v",
        `${engine.directory}/busybox/etc:/v/place`,
        "-w",
        "/v/place",
      ];
      const ran = await engine.tiffin([
        "run",
        ...options,
        "attack",
        "sh",
        "-c",
        `cat ${marker} /proc/1/cwd/..${marker}; pwd`,
      ]);
      expect(ran.stdout).not.toContain(attack.secret);
    }
    await engine.tiffinOk("rm", "-f", id);
    expect(readdirSync("/tmp")).not.toContain("passwd");
  });
});
