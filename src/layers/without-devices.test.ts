import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: mounts without devices: root is needed");

/** In a process of its own: what changes is a thread's. */
const SCRIPT = `
const { openat2, openat2Raw } = await import(process.argv[1] + "/kernel/files.ts");
const { withoutDevices } = await import(process.argv[1] + "/layers/without-devices.ts");
const [pid, path] = process.argv.slice(2);
const namespace = openat2(-100, "/proc/" + pid + "/ns/mnt", { flags: 0 });
const descriptor = openat2(-100, "/proc/" + pid + "/root", { flags: 0o200000 });
const directory = openat2(-100, "/proc/" + pid + "/root" + path, { flags: 0 });
const before = await Bun.file("/proc/thread-self/mountinfo").text();
const own = withoutDevices({ descriptor, namespace }, directory);
const home = before === (await Bun.file("/proc/thread-self/mountinfo").text());
const open = (from, name) => openat2Raw(from, name, { flags: 0 });
const there = [open(directory, "null") > 0, open(directory, "below/file") > 0];
const EACCES = -13;
console.log(JSON.stringify({ home, there, opened: open(own, "file") > 0, below: open(own, "below/file") > 0,
  refused: [open(own, "null") === EACCES, open(own, "below/null") === EACCES] }));
`;

test.skipIf(!isRoot)(
  "a directory of another namespace, with what is mounted there, opens files and no devices",
  () => {
    const path = mkdtempSync(join(tmpdir(), "tiffin-devices."));
    try {
      mkdirSync(join(path, "below"));
      writeFileSync(join(path, "file"), "");
      const mounted = `mount -t tmpfs tiffin ${path}/below; mknod ${path}/null c 1 3; mknod ${path}/below/null c 1 3; : > ${path}/below/file`;
      const run = `${process.execPath} -e '${SCRIPT}' ${join(import.meta.dir, "..")} $$ ${path}`;
      // The shell that mounts is in the other namespace; who looks into it stays at home.
      const inside = ["unshare", "-m", "sh", "-ec", `${mounted}; echo $$; read end`];
      const shell = Bun.spawnSync([
        "sh",
        "-ec",
        `mkfifo ${path}/in ${path}/out; ${inside.slice(0, 4).join(" ")} '${inside[4]}' < ${path}/in > ${path}/out &
exec 3> ${path}/in; read pid < ${path}/out; ${run.replace("$$", "$pid")}; echo >&3; wait`,
      ]);
      expect(shell.stderr.toString()).toBe("");
      expect(JSON.parse(shell.stdout.toString())).toEqual({
        home: true,
        there: [true, true],
        opened: true,
        below: true,
        refused: [true, true],
      });
    } finally {
      rmSync(path, { recursive: true });
    }
  },
);
