import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  copyFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An engine that is measured: its client's command line, and how it is brought up and down. */
export interface Contender {
  readonly name: string;
  /** Why it cannot be measured here, or undefined. */
  readonly obstacle: string | undefined;
  readonly client: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  start(): Promise<void>;
  /** The engine's process, for its memory; undefined: it has none. */
  enginePid(): number | undefined;
  stop(): Promise<void>;
}

const PATIENCE_MS = 15_000;
const root = join(import.meta.dir, "..");
export const scratch: string = mkdtempSync(join(tmpdir(), "tiffin-bench."));

/** The root file system that all contenders run: a static busybox. */
export function busyboxRoot(): string {
  const directory = join(scratch, "rootfs");
  if (existsSync(directory)) return directory;
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp"])
    mkdirSync(join(directory, name), { recursive: true });
  copyFileSync(Bun.which("busybox") ?? "/bin/busybox", join(directory, "bin/busybox"));
  for (const name of ["sh", "true", "sleep", "cat", "yes", "head"])
    symlinkSync("busybox", join(directory, "bin", name));
  writeFileSync(join(directory, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
  return directory;
}

function missing(...programs: string[]): string | undefined {
  const absent = programs.filter((program) => Bun.which(program) === null);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}

/** Runs one command line to its end; its output is dropped unless it fails. */
export async function runToEnd(
  contender: Contender,
  args: readonly string[],
  input?: Blob,
): Promise<void> {
  const child = Bun.spawn([...contender.client, ...args], {
    env: { ...process.env, ...contender.environment },
    stdin: input ?? "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0)
    throw new Error(`${contender.name} ${args.join(" ")}: ${errors.trim()}`);
}

async function importBusybox(contender: Contender): Promise<void> {
  const tar = Bun.spawnSync(["tar", "-C", busyboxRoot(), "-c", "."]);
  await runToEnd(contender, ["import", "-", "busybox"], new Blob([tar.stdout]));
}

async function answers(contender: Contender, args: readonly string[]): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await runToEnd(contender, args);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await Bun.sleep(100);
    }
  }
}

export function tiffin(): Contender {
  const release = join(root, "build/tiffin");
  const places = { root: join(scratch, "tiffin"), run: `/run/tiffin-bench.${process.pid}` };
  const host = `unix://${places.run}/tiffin.sock`;
  let engine: Bun.Subprocess | undefined;
  const self: Contender = {
    name: "tiffin",
    obstacle: existsSync(release) ? undefined : "no release executable: npm run build",
    client: [release],
    environment: { TIFFIN_ROOT: places.root, TIFFIN_RUN: places.run, TIFFIN_HOST: host },
    start: async () => {
      engine = Bun.spawn([release, "engine"], {
        env: { ...process.env, ...self.environment },
        stdio: ["ignore", "ignore", "inherit"],
      });
      await answers(self, ["version"]);
      await importBusybox(self);
    },
    enginePid: () => engine?.pid,
    stop: async () => {
      engine?.kill("SIGTERM");
      await engine?.exited;
      rmSync(places.run, { recursive: true, force: true });
    },
  };
  return self;
}

export function docker(): Contender {
  const directory = join(scratch, "docker");
  const socket = join(directory, "docker.sock");
  let daemon: Bun.Subprocess | undefined;
  const self: Contender = {
    name: "docker",
    obstacle: missing("dockerd", "docker", "containerd"),
    client: ["docker"],
    environment: { DOCKER_HOST: `unix://${socket}` },
    start: async () => {
      mkdirSync(directory, { recursive: true });
      const places = [
        "--data-root",
        join(directory, "data"),
        "--exec-root",
        join(directory, "exec"),
        "--pidfile",
        join(directory, "pid"),
      ];
      daemon = Bun.spawn(
        ["dockerd", ...places, "-H", `unix://${socket}`, "--iptables=false", "--bridge=none"],
        {
          stdio: ["ignore", "ignore", Bun.file(join(directory, "log"))],
        },
      );
      await answers(self, ["version"]);
      await importBusybox(self);
    },
    enginePid: () => daemon?.pid,
    stop: async () => {
      daemon?.kill("SIGTERM");
      await daemon?.exited;
    },
  };
  return self;
}

export function podman(): Contender {
  const directory = join(scratch, "podman");
  const configuration = join(directory, "containers.conf");
  const places = [
    "--root",
    join(directory, "root"),
    "--runroot",
    join(directory, "run"),
    "--tmpdir",
    join(directory, "tmp"),
  ];
  const self: Contender = {
    name: "podman",
    obstacle: missing("podman", "conmon", "crun", "runc"),
    client: ["podman", ...places],
    environment: { CONTAINERS_CONF: configuration },
    start: async () => {
      mkdirSync(directory, { recursive: true });
      // Without CAP_SYS_RESOURCE podman cannot raise limits, and without systemd it has no journal.
      // crun refuses a hybrid cgroup hierarchy whose v2 side has a controller; runc takes it.
      const runtime = (await Bun.file("/proc/self/mountinfo").text()).includes(
        "/sys/fs/cgroup/unified",
      )
        ? "runc"
        : "crun";
      const limits = `default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]`;
      writeFileSync(
        configuration,
        `[engine]\nruntime = "${runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n[containers]\n${limits}\nlog_driver = "k8s-file"\n`,
      );
      await importBusybox(self);
    },
    enginePid: () => undefined,
    stop: async () => undefined,
  };
  return self;
}

/** Mounts that a peer left below the scratch directory, the innermost first; then the directory. */
export function removeScratch(): void {
  const mounts = Bun.spawnSync(["findmnt", "-rno", "TARGET"]).stdout.toString().split("\n");
  for (const target of mounts.filter((path) => path.startsWith(`${scratch}/`)).toReversed())
    Bun.spawnSync(["umount", "-l", target]);
  rmSync(scratch, { recursive: true, force: true });
}
