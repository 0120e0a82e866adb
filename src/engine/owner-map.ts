import { statSync } from "node:fs";
import { call, type Operation, type Register, register } from "../base/operation.ts";
import { CLONE, O } from "../kernel/flags.ts";
import { ownerMapText } from "../namespaces/id-range.ts";
import { containerUser } from "./container-root.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * A user namespace for the idmap of a `:me` bind: the owner of the host directory and the container's user are the same,
 * both ways (ownerMapText). A user namespace lives as long as a process in it or a descriptor of it: a short-lived
 * process carries it until its descriptor is open. Supervisor side.
 */
export function planOwnerMap(
  context: EngineContext,
  container: StoredContainer,
  bind: { source: string; index: number },
): { prepare: Operation[]; userNamespace: Register } {
  const owner = statSync(bind.source);
  const user = containerUser(context, container, container.spec.user, []);
  const base = container.idBase;
  const maps = {
    uid_map: ownerMapText({ owner: owner.uid, user: user.uid, base }),
    gid_map: ownerMapText({ owner: owner.gid, user: user.gid, base }),
  };
  const name = `me.${bind.index}`;
  const pid = { scratch: `${name} pid text`, size: 24 };
  const process = register(`${name}.proc`);
  const write = (file: "uid_map" | "gid_map"): Operation[] => [
    call("openat", [process, file, O.WRONLY | O.CLOEXEC, 0], `open the ${file} of the bind`, {
      result: `${name}.map`,
    }),
    call(
      "write",
      [register(`${name}.map`), Buffer.from(maps[file]), maps[file].length],
      `make the owner of ${bind.source} and the container's user one`,
    ),
    call("close", [register(`${name}.map`)], `close the ${file} of the bind`),
  ];
  return {
    userNamespace: register(`${name}.userns`),
    prepare: [
      {
        control: "fork",
        flags: CLONE.NEWUSER | CLONE.FILES | CLONE.PIDFD,
        pid: `${name}.pid`,
        pidfd: `${name}.pidfd`,
        reason: "start a process that carries a user namespace",
        child: [
          call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], "end with the supervisor"),
          call("ppoll", [null, 0, null, null, 0], "wait to be ended"),
        ],
      },
      {
        control: "decimal",
        from: register(`${name}.pid`),
        to: pid,
        reason: "write the process number",
      },
      call("openat", [-100, "/proc", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open /proc", {
        result: `${name}.procs`,
      }),
      call(
        "openat",
        [register(`${name}.procs`), pid, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
        "find the process in /proc",
        { result: process.register },
      ),
      ...write("uid_map"),
      ...write("gid_map"),
      call("openat", [process, "ns/user", O.RDONLY | O.CLOEXEC, 0], "open the user namespace", {
        result: `${name}.userns`,
      }),
      call("pidfd_send_signal", [register(`${name}.pidfd`), SIGKILL, null, 0], "end the process"),
      call("wait4", [register(`${name}.pid`), null, 0, null], "reap the process"),
    ],
  };
}
