import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { timeCommand } from "./command.ts";

/** The v2 side of a hybrid cgroup layout (cgroups(7)). */
const V2_SIDE = "/sys/fs/cgroup/unified";

/** True where crun refuses to work: "cgroups in hybrid mode not supported, drop all controllers from cgroupv2". */
export function isHybrid(): boolean {
  const file = join(V2_SIDE, "cgroup.controllers");
  return existsSync(file) && readFileSync(file, "utf8").trim() !== "";
}

let entering: Promise<readonly string[]> | undefined;

/**
 * What comes before a command so that crun works in it: nothing, or on a hybrid layout `nsenter` into a mount namespace
 * without the v2 side, where crun does all that it does elsewhere. Its price is one exec, which is measured too.
 */
export function withoutV2Side(): Promise<readonly string[]> {
  entering ??= isHybrid() ? makeNamespace() : Promise.resolve([]);
  return entering;
}

async function makeNamespace(): Promise<readonly string[]> {
  const holder = Bun.spawn(
    ["unshare", "--mount", "--propagation", "private", "sleep", "infinity"],
    { stdio: ["ignore", "ignore", "inherit"], detached: true },
  );
  whenDone(async () => {
    holder.kill("SIGKILL");
    await holder.exited;
  });
  // unshare(1) makes the namespace, then its propagation private: only then may anything be unmounted in it.
  while (readFileSync(`/proc/${holder.pid}/comm`, "utf8").trim() !== "sleep") await Bun.sleep(5);
  const enter = ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`];
  await timeCommand([...enter, "umount", V2_SIDE]);
  if (!isHybrid()) throw new Error(`${V2_SIDE} was unmounted for everybody`);
  return enter;
}
