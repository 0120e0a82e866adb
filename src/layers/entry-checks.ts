import { type ErrnoName } from "../base/errno.ts";
import { messageOf, TiffinError } from "../base/error.ts";
import { errnoOf } from "../kernel/syscall.ts";
import type { TarEntry } from "./tar-entry.ts";

/** What an archive asks for and no tree may hold. */
export function refused(problem: string): TiffinError {
  return new TiffinError("invalid-argument", problem);
}

/** The last id means "leave it as it is" to the kernel, and would leave the file to root. */
export function checkNumbers(entry: TarEntry): void {
  for (const id of [entry.uid, entry.gid]) {
    if (id < 0 || id >= 0xffffffff) throw refused(`${id} is no user or group id`);
  }
  const { deviceMajor, deviceMinor } = entry;
  if (deviceMajor > 0xfff || deviceMinor > 0xfffff || deviceMajor < 0 || deviceMinor < 0) {
    throw refused(`${deviceMajor}:${deviceMinor} is no device number`);
  }
}

const FAULTS_OF_THE_ENTRY: readonly ErrnoName[] = [
  "ENOTDIR",
  "ELOOP",
  "EINVAL",
  "ENAMETOOLONG",
  "EFBIG",
  "EOVERFLOW",
  "ERANGE",
  "E2BIG",
];

/** Runs one step of an entry; an error gets the entry's name and position. */
export function inEntry(entry: TarEntry, step: () => void): void {
  try {
    step();
  } catch (error) {
    const errno = errnoOf(error);
    const byEntry = errno !== undefined && FAULTS_OF_THE_ENTRY.includes(errno);
    const known = error instanceof TiffinError ? error : null;
    const name = entry.path.length > 200 ? `${entry.path.slice(0, 200)}…` : entry.path;
    const doing =
      entry.position < 0
        ? `copy ${JSON.stringify(name)}`
        : `unpack entry ${JSON.stringify(name)} (at byte ${entry.position})`;
    throw new TiffinError(
      byEntry ? "invalid-argument" : (known?.code ?? "internal"),
      `Cannot ${doing}: ${messageOf(error)}`,
      {
        cause: error,
        ...(known?.hint === undefined ? {} : { hint: known.hint }),
        details: {
          entry: entry.path,
          position: entry.position,
          ...(errno === undefined ? {} : { errno }),
        },
      },
    );
  }
}
