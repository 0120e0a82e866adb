import { call, type Operation, type Register, register } from "../base/operation.ts";
import { CLONE, O } from "../kernel/flags.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * A user namespace with maps, for mounts that are to show ids by them. It lives as long as a process in it or a descriptor of it: a short-lived process carries it until its descriptor is open. Supervisor side.
 *
 * @param asked.name makes the registers unique
 * @param asked.what after the name of a file: `uid_map of the bind`
 */
export function planMappedNamespace(asked: {
  readonly name: string;
  readonly maps: { readonly uid_map: string; readonly gid_map: string };
  readonly what: string;
  readonly reason: string;
  /** The register's name; one made from `name` by default. */
  readonly result?: string;
}): { prepare: Operation[]; userNamespace: Register } {
  const { name, maps, what, reason, result = `${name}.userns` } = asked;
  const pid = { scratch: `${name} pid text`, size: 24 };
  const process = register(`${name}.proc`);
  const write = (file: "uid_map" | "gid_map"): Operation[] => [
    call("openat", [process, file, O.WRONLY | O.CLOEXEC, 0], `open the ${file} ${what}`, {
      result: `${name}.map`,
    }),
    call("write", [register(`${name}.map`), Buffer.from(maps[file]), maps[file].length], reason),
    call("close", [register(`${name}.map`)], `close the ${file} ${what}`),
  ];
  return {
    userNamespace: register(result),
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
        result,
      }),
      call("pidfd_send_signal", [register(`${name}.pidfd`), SIGKILL, null, 0], "end the process"),
      call("wait4", [register(`${name}.pid`), null, 0, null], "reap the process"),
    ],
  };
}
