import { invalidArgument } from "../base/error.ts";

const CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]";
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
/** Of a directory's name on every file system. */
const MAXIMUM_LENGTH = 255;

/** Refuses what docker's local driver refuses, in its words; a name is the name of a directory too. @throws invalid-argument */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw invalidArgument(
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (!NAME.test(name)) {
    throw invalidArgument(
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "${CHARACTERS}" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > MAXIMUM_LENGTH) {
    throw invalidArgument(
      `create ${name}: a volume's name has at most ${MAXIMUM_LENGTH} characters`,
    );
  }
}
