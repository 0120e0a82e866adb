import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { lockFile } from "../kernel/process.ts";
import { syscall } from "../kernel/syscall.ts";

/** What is kept of a container between the commands: ROOT/ID/state.json. */
export interface StoredState {
  readonly ociVersion: string;
  readonly id: string;
  /** 0 until its first process is there. */
  readonly pid: number;
  /** Ticks after the machine's start: with the pid it names one process for good (proc_pid_stat(5), field 22). */
  readonly startTicks: string;
  /** Absolute. */
  readonly bundle: string;
  /** Absolute: the root file system on the host. */
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absolute, below every hierarchy. */
  readonly cgroupsPath: string;
  readonly usesCpuset: boolean;
  /** Groups above the container's that were made for it. */
  readonly madeCgroups: readonly string[];
  /** The container has a PID namespace of its own: its end is that of all its processes. */
  readonly ownPids: boolean;
}

const O_PATH_DIRECTORY = 0o200000;
/** The specification leaves the form open; these are runc's names. */
const ID = /^[\w+.-]+$/;
const LONGEST_ID = 1024;

/** @throws invalid-argument */
export function checkContainerId(id: string): string {
  if (ID.test(id) && id !== "." && id !== ".." && id.length <= LONGEST_ID) return id;
  throw invalidArgument(
    `Cannot use ${JSON.stringify(id)} as a container's ID: invalid ID format`,
    "Use letters, digits, and any of _ + - .",
  );
}

/** The directory of one container: held under an exclusive lock by whoever changes it. */
export class StateDirectory {
  readonly path: string;
  private lock: number | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  /** A new one, locked. @throws already-exists */
  static create(root: string, id: string): StateDirectory {
    mkdirSync(root, { recursive: true, mode: 0o711 });
    const path = join(root, checkContainerId(id));
    try {
      mkdirSync(path, { mode: 0o711 });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      throw new TiffinError(
        "already-exists",
        `Cannot create container "${id}": container with id exists: ${id}`,
        { hint: `Delete it first: tiffin oci delete ${id}` },
      );
    }
    const directory = new StateDirectory(path);
    directory.hold();
    return directory;
  }

  /** @throws not-found */
  static open(root: string, id: string): StateDirectory {
    const path = join(root, checkContainerId(id));
    if (!existsSync(path)) throw doesNotExist(id);
    return new StateDirectory(path);
  }

  static list(root: string): string[] {
    if (!existsSync(root)) return [];
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && ID.test(entry.name))
      .map((entry) => entry.name);
  }

  get fifo(): string {
    return join(this.path, "exec.fifo");
  }

  /** Waits for whoever has it. @throws not-found when the container was deleted meanwhile */
  hold(): void {
    this.lock = openSync(this.path, O_PATH_DIRECTORY);
    if (!lockFile(this.lock)) syscall("flock", this.lock, 2);
    if (!existsSync(this.path)) throw doesNotExist(this.path.slice(this.path.lastIndexOf("/") + 1));
  }

  release(): void {
    if (this.lock !== undefined) closeSync(this.lock);
    this.lock = undefined;
  }

  /** True while another process holds it: a create that is under way. */
  isHeldElsewhere(): boolean {
    const fd = openSync(this.path, O_PATH_DIRECTORY);
    const isFree = lockFile(fd);
    closeSync(fd);
    return !isFree;
  }

  /** @throws data-loss when there is none: a create that was cut short before it wrote one */
  read(): StoredState {
    try {
      return JSON.parse(readFileSync(join(this.path, "state.json"), "utf8")) as StoredState;
    } catch (error) {
      throw new TiffinError("data-loss", `Cannot read the state in ${this.path}: it is torn`, {
        hint: "A create was cut short; tiffin oci delete --force removes what it left",
        cause: error,
      });
    }
  }

  write(state: StoredState): void {
    const unfinished = join(this.path, "state.json.new");
    writeFileSync(unfinished, JSON.stringify(state), { mode: 0o600 });
    renameSync(unfinished, join(this.path, "state.json"));
  }

  /** The configuration as create read it. */
  readConfig(): string {
    return readFileSync(join(this.path, "config.json"), "utf8");
  }

  writeConfig(text: string): void {
    writeFileSync(join(this.path, "config.json"), text, { mode: 0o600 });
  }

  remove(): void {
    for (const name of ["exec.fifo", "config.json", "state.json", "state.json.new"]) {
      rmSync(join(this.path, name), { force: true });
    }
    rmdirSync(this.path);
    this.release();
  }
}

export function doesNotExist(id: string): TiffinError {
  return new TiffinError("not-found", `Cannot find container "${id}": container does not exist`);
}
