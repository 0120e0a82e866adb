import { expect } from "bun:test";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A config.json as the tests change it, also to what is wrong. */
export interface Spec {
  ociVersion: string;
  root: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  annotations?: Record<string, string>;
  hooks?: Record<string, object[]>;
  mounts: object[];
  process: {
    cwd: string;
    args: string[];
    env: string[];
    user: { uid: number; gid: number; umask?: number; additionalGids?: number[] };
    capabilities: Record<string, string[]>;
    noNewPrivileges: boolean;
    terminal?: boolean;
    consoleSize?: object;
    rlimits?: object[];
    oomScoreAdj?: number;
    scheduler?: unknown;
    ioPriority?: object;
    apparmorProfile?: string;
  };
  linux: {
    cgroupsPath: string;
    resources: Record<string, unknown>;
    namespaces: { type: string; path?: string }[];
    uidMappings?: object[];
    gidMappings?: object[];
    timeOffsets?: object;
    devices?: object[];
    sysctl?: Record<string, string>;
    seccomp?: object;
    personality?: object;
    rootfsPropagation?: string;
    maskedPaths?: string[];
    readonlyPaths?: string[];
  };
}

/** What `state` tells (runtime.md, "State"). */
export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly annotations?: Record<string, string>;
}

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

const APPLETS =
  "sh true false cat ls id sleep mount echo env ps grep stat head touch mkdir umask hostname sort dmesg nice ionice uname dd tr od tty stty readlink kill wc ulimit mknod date";

const CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/** A runtime with a state directory, bundles and cgroups of its own, all of which are gone after dispose(). */
export class OciFixture {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tiffin-oci-"));
  readonly root: string;
  readonly cgroup: string;
  private readonly command: readonly string[];
  private readonly ids = new Set<string>();
  private count = 0;

  constructor(command: readonly string[]) {
    this.command = command;
    // A user namespace's root is nobody on the way to its own.
    chmodSync(this.directory, 0o755);
    this.root = join(this.directory, "state");
    this.cgroup = `/tiffin-oci-test-${process.pid}`;
    this.makeRootfs(join(this.directory, "rootfs"));
  }

  makeRootfs(path: string): void {
    mkdirSync(join(path, "bin"), { recursive: true });
    for (const name of ["etc", "tmp", "dev", "proc", "sys"]) mkdirSync(join(path, name));
    copyFileSync("/bin/busybox", join(path, "bin/busybox"));
    for (const name of APPLETS.split(" ")) symlinkSync("busybox", join(path, "bin", name));
    writeFileSync(
      join(path, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/\n",
    );
  }

  newId(): string {
    const id = `t${process.pid}-${this.count++}`;
    this.ids.add(id);
    return id;
  }

  /** A bundle whose process is a shell script. */
  bundle(script: string, change: (spec: Spec) => void = () => undefined): string {
    const path = join(this.directory, `bundle-${this.count++}`);
    mkdirSync(path);
    const spec = this.baseSpec(["sh", "-c", script]);
    change(spec);
    writeFileSync(join(path, "config.json"), JSON.stringify(spec));
    return path;
  }

  baseSpec(args: string[]): Spec {
    const sealed = ["nosuid", "noexec", "nodev"];
    return {
      ociVersion: "1.0.2",
      root: { path: join(this.directory, "rootfs") },
      hostname: "conformance",
      process: {
        cwd: "/",
        args,
        env: ["PATH=/bin"],
        user: { uid: 0, gid: 0 },
        capabilities: {
          bounding: CAPABILITIES,
          effective: CAPABILITIES,
          permitted: CAPABILITIES,
        },
        noNewPrivileges: true,
      },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        {
          destination: "/dev",
          type: "tmpfs",
          source: "tmpfs",
          options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: [...sealed, "ro"] },
      ],
      linux: {
        cgroupsPath: `${this.cgroup}/c${this.count}`,
        resources: { devices: [{ allow: false, access: "rwm" }] },
        namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      },
    };
  }

  /** One command of the runtime. What a container writes goes to the same file as what the runtime does. */
  async oci(words: readonly string[], input?: string): Promise<Outcome> {
    const name = join(this.directory, `io-${this.count++}`);
    const inputFile = `${name}.in`;
    writeFileSync(inputFile, input ?? "");
    const [stdin, stdout, stderr] = [
      openSync(inputFile, "r"),
      openSync(`${name}.out`, "w"),
      openSync(`${name}.err`, "w"),
    ];
    const child = Bun.spawn([...this.command, "--root", this.root, ...words], {
      stdio: [stdin, stdout, stderr],
      cwd: this.directory,
    });
    const status = await child.exited;
    for (const fd of [stdin, stdout, stderr]) closeSync(fd);
    return {
      status,
      out: readFileSync(`${name}.out`, "utf8"),
      error: readFileSync(`${name}.err`, "utf8"),
    };
  }

  async succeed(...words: string[]): Promise<string> {
    const outcome = await this.oci(words);
    expect({ words, ...outcome }).toMatchObject({ words, status: 0 });
    return outcome.out;
  }

  async fail(...words: string[]): Promise<string> {
    const outcome = await this.oci(words);
    expect({ words, failed: outcome.status !== 0 }).toEqual({ words, failed: true });
    return outcome.error;
  }

  /** Runs a script in a container to its end: what it wrote. */
  async run(script: string, change?: (spec: Spec) => void): Promise<Outcome> {
    return this.oci(["run", "--bundle", this.bundle(script, change), this.newId()]);
  }

  /** The lines that a script wrote, which ended well. */
  async lines(script: string, change?: (spec: Spec) => void): Promise<string[]> {
    const outcome = await this.run(script, change);
    expect(outcome).toMatchObject({ status: 0 });
    return outcome.out.trimEnd().split("\n");
  }

  /** A create that the runtime refuses, of which nothing is left. */
  async refused(change: (spec: Spec) => void): Promise<string> {
    const id = this.newId();
    const error = await this.fail("create", "--bundle", this.bundle("true", change), id);
    await this.fail("state", id);
    return error;
  }

  async create(script: string, change?: (spec: Spec) => void): Promise<string> {
    const id = this.newId();
    await this.succeed("create", "--bundle", this.bundle(script, change), id);
    return id;
  }

  async state(id: string): Promise<State> {
    return JSON.parse(await this.succeed("state", id)) as State;
  }

  async status(id: string): Promise<string> {
    return (await this.state(id)).status;
  }

  /** Until a container's status is this one. */
  async until(id: string, status: string): Promise<void> {
    for (let round = 0; round < 300; round++) {
      if ((await this.status(id)) === status) return;
      await Bun.sleep(20);
    }
    expect(await this.status(id)).toBe(status);
  }

  /** Until a file is there and holds something. */
  async file(path: string): Promise<string> {
    for (let round = 0; round < 1000; round++) {
      const text = existsSync(path) ? readFileSync(path, "utf8") : "";
      if (text !== "") return text;
      await Bun.sleep(10);
    }
    return readFileSync(path, "utf8");
  }

  /** Groups below this fixture's own, in any hierarchy. */
  groups(): string[] {
    const mountPoints = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => / - cgroup2? /.test(line))
      .map((line) => line.split(" ")[4] ?? "");
    return mountPoints.flatMap((mountPoint) => {
      const top = `${mountPoint}${this.cgroup}`;
      if (!existsSync(top)) return [];
      return readdirSync(top, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `${top}/${name}`);
    });
  }

  /** Ends what a test left. */
  async clean(): Promise<void> {
    for (const id of this.ids) await this.oci(["delete", "--force", id]);
    this.ids.clear();
  }

  async dispose(): Promise<void> {
    await this.clean();
    const mountPoints = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => / - cgroup2? /.test(line))
      .map((line) => line.split(" ")[4] ?? "");
    for (const mountPoint of mountPoints) {
      Bun.spawnSync(["rmdir", `${mountPoint}${this.cgroup}`], { stderr: "ignore" });
    }
    rmSync(this.directory, { recursive: true });
  }
}
