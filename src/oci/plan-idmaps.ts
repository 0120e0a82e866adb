import { call, type Operation, register } from "../base/operation.ts";
import { AT, CLONE, O } from "../kernel/flags.ts";
import { idmapRegister } from "./plan-mounts.ts";
import type { PlannedMount } from "./plan-mounts.ts";
import { mapText } from "./plan-namespaces.ts";

const SIGKILL = 9;

/**
 * A user namespace for each mount with mappings of its own, held by a descriptor: a short-lived process makes it, and the
 * launcher writes its maps. Before the container is there, so that a failure ends that one and not the other.
 */
export function planIdmaps(mounts: readonly PlannedMount[]): Operation[] {
  return mounts.flatMap(({ idmap, detached }) => {
    if (idmap === undefined || detached === undefined) return [];
    const index = Number(detached.mount.register.slice("mount.".length));
    const name = idmapRegister(index).register;
    const pid = { scratch: `${name}.text`, size: 24 };
    const write = (file: string, text: string): Operation[] => [
      call("openat", [register(`${name}.proc`), file, O.WRONLY | O.CLOEXEC, 0], `open ${file}`, {
        result: "map",
      }),
      call("write", [register("map"), Buffer.from(text), text.length], `write ${file}`),
      call("close", [register("map")], `close ${file}`),
    ];
    return [
      {
        control: "fork",
        flags: CLONE.NEWUSER | CLONE.PIDFD,
        pid: `${name}.pid`,
        pidfd: `${name}.pidfd`,
        reason: `make a user namespace for ${detached.target}`,
        child: [
          call("prctl", [1, SIGKILL, 0, 0, 0], "end with the launcher"),
          call("ppoll", [null, 0, null, null, 0], "wait"),
          call("exit_group", [0], "leave"),
        ],
      },
      {
        control: "decimal",
        from: register(`${name}.pid`),
        to: pid,
        reason: "write the process number",
      },
      call("openat", [AT.FDCWD, "/proc", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open /proc", {
        result: "proc.root",
      }),
      call(
        "openat",
        [register("proc.root"), pid, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
        "find the process in /proc",
        { result: `${name}.proc` },
      ),
      ...write("uid_map", mapText(idmap.uids)),
      ...write("gid_map", mapText(idmap.gids)),
      call(
        "openat",
        [register(`${name}.proc`), "ns/user", O.RDONLY | O.CLOEXEC, 0],
        "open the user namespace",
        { result: name },
      ),
      call(
        "pidfd_send_signal",
        [register(`${name}.pidfd`), SIGKILL, null, 0],
        "end the process that made it",
      ),
      call("wait4", [register(`${name}.pid`), null, 0, null], "reap it"),
    ];
  });
}
