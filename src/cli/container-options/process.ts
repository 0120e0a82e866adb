import { type Flag, integer, list, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { checkAttach, checkEnvironment, checkLabel, isInherited } from "./checks.ts";
import { readKeyValueFile, toMap } from "./key-values.ts";

const FLAGS = {
  attach: list("attach", "Attach to STDIN, STDOUT or STDERR", { short: "a", check: checkAttach }),
  domainname: text("domainname", "Container NIS domain name"),
  entrypoint: text("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
  env: list("env", "Set environment variables", {
    short: "e",
    check: (value) => checkEnvironment(value),
    local: isInherited,
  }),
  envFile: list("env-file", "Read in a file of environment variables", { local: true }),
  hostname: text("hostname", "Container host name", { short: "h" }),
  interactive: toggle("interactive", "Keep STDIN open even if not attached", { short: "i" }),
  label: list("label", "Set meta data on a container", { short: "l", check: checkLabel }),
  labelFile: list("label-file", "Read in a line delimited file of labels", { local: true }),
  stopSignal: text("stop-signal", "Signal to stop the container"),
  stopTimeout: integer("stop-timeout", "Timeout (in seconds) to stop a container"),
  tty: toggle("tty", "Allocate a pseudo-TTY", { short: "t" }),
  user: text("user", "Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
  workdir: text("workdir", "Working directory inside the container", { short: "w" }),
} as const;

/** The options that say what runs in the container, and on which streams. */
export const PROCESS_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

export interface ProcessConfig {
  readonly Tty: boolean;
  readonly OpenStdin: boolean;
  readonly StdinOnce: boolean;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Image: string;
  readonly [field: string]: unknown;
}

/** The part of the body that is docker's Config: operands are the image and the command. @throws in docker's words */
export function processConfig(given: Arguments): ProcessConfig {
  const attach = given.get(FLAGS.attach);
  const [image = "", ...command] = given.operands;
  const openStdin = given.get(FLAGS.interactive);
  const attachStdin = openStdin || attach.includes("stdin");
  return {
    Hostname: given.get(FLAGS.hostname),
    Domainname: given.get(FLAGS.domainname),
    User: given.get(FLAGS.user),
    AttachStdin: attachStdin,
    AttachStdout: attach.length === 0 || attach.includes("stdout"),
    AttachStderr: attach.length === 0 || attach.includes("stderr"),
    Tty: given.get(FLAGS.tty),
    OpenStdin: openStdin,
    // Docker closes the container's stdin when the one client that it was opened for goes.
    StdinOnce: openStdin && attachStdin,
    Env: environment(given),
    Cmd: command.length === 0 ? null : command,
    Image: image,
    WorkingDir: given.get(FLAGS.workdir),
    // `--entrypoint ""` empties the image's; without the flag the image's stays.
    Entrypoint: given.has(FLAGS.entrypoint) ? [given.get(FLAGS.entrypoint)] : null,
    Labels: labels(given),
    ...(given.get(FLAGS.stopSignal) === "" ? {} : { StopSignal: given.get(FLAGS.stopSignal) }),
    ...(given.has(FLAGS.stopTimeout) ? { StopTimeout: given.get(FLAGS.stopTimeout) } : {}),
  };
}

/** True when the command line passes its own input on, or its terminal. */
export function takesInput(given: Arguments): boolean {
  return (
    given.get(FLAGS.interactive) ||
    given.get(FLAGS.tty) ||
    given.get(FLAGS.attach).includes("stdin")
  );
}

/** True when `--attach` says which streams to connect. */
export function choosesStreams(given: Arguments): boolean {
  return given.has(FLAGS.attach);
}

function environment(given: Arguments): string[] {
  const fromFiles = given
    .get(FLAGS.envFile)
    .flatMap((file) => readKeyValueFile(file, (key) => process.env[key]));
  return [...fromFiles, ...given.get(FLAGS.env)];
}

function labels(given: Arguments): Record<string, string> {
  const fromFiles = given.get(FLAGS.labelFile).flatMap((file) => readKeyValueFile(file));
  return toMap([...fromFiles, ...given.get(FLAGS.label)]);
}
