import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";

let made: string | undefined;

/** The one directory of this run: engines' states, bundles, logs. Mounts below it go when it goes. */
export function scratch(): string {
  if (made !== undefined) return made;
  const directory = mkdtempSync(join(tmpdir(), "tiffin-bench."));
  made = directory;
  whenDone(() => {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((target) => target.startsWith(`${directory}/`));
    for (const target of mounts.toReversed()) Bun.spawnSync(["umount", "-l", target]);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

const APPLETS = ["awk", "cat", "false", "sh", "sleep", "true"];

/** The root file system that all contenders run: one static busybox. */
export function busyboxRoot(): string {
  const directory = join(scratch(), "rootfs");
  if (existsSync(directory)) return directory;
  const busybox = Bun.which("busybox");
  if (busybox === null) throw new Error("busybox is not installed: apt install busybox-static");
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp"]) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  copyFileSync(busybox, join(directory, "bin/busybox"));
  if (Bun.spawnSync(["ldd", busybox]).exitCode === 0) {
    throw new Error("busybox is not static: apt install busybox-static");
  }
  for (const name of APPLETS) symlinkSync("busybox", join(directory, "bin", name));
  writeFileSync(join(directory, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
  writeFileSync(join(directory, "etc/group"), "root:x:0:\n");
  return directory;
}

/** The same as a tar archive, for `import`. */
export function busyboxArchive(): string {
  const path = join(scratch(), "busybox.tar");
  if (!existsSync(path)) {
    const { exitCode } = Bun.spawnSync(["tar", "-C", busyboxRoot(), "-cf", path, "."]);
    if (exitCode !== 0) throw new Error("tar failed");
  }
  return path;
}
