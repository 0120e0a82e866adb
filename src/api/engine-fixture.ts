import type { NetworkVerbs } from "../engine/networks/network-verbs.ts";
import { fixtureNetworks } from "./networks-fixture.ts";
import { TiffinError } from "../base/error.ts";
import type { ContentStore } from "../images/content-store.ts";
import { INITIAL_STATE } from "../engine/container-table.ts";
import { planMountPoints } from "../engine/plan-mount-points.ts";
import type { CommitRequest } from "../engine/commit-container.ts";
import type { ArchiveWrite, CopyIn, CopyOut, PathArchive } from "../engine/container-archive.ts";
import type {
  Change,
  Engine,
  HostFacts,
  LogCopy,
  Isolation,
  PathStatus,
  ProcessTable,
} from "../engine/engine.ts";
import type { RegistryVerbs } from "../engine/registry-verbs.ts";
import type { PullOptions } from "../engine/pull-image.ts";
import { emptySpec } from "../engine/spec-defaults.ts";
import type { VolumeVerbs } from "../engine/volume-verbs.ts";
import type {
  AttachRequest,
  AttachSession,
  Container,
  ContainerSpec,
  EngineEvent,
  Exec,
  ExecSpec,
  OutputChunk,
  WaitResult,
} from "../engine/types.ts";
import type { Image, ImageStore } from "../images/image-store.ts";

/*
 * An engine in memory for the tests of HTTP mechanics: routing, errors, hijacked connections, frames, half-close. Its
 * containers are no processes; what containers do is tested with the real engine, in test/integration.
 */

export const fixtureHost: HostFacts = {
  kernelVersion: "6.18.0",
  operatingSystem: "Debian GNU/Linux 13 (trixie)",
  operatingSystemVersion: "13",
  ipv4Forwarding: true,
  architecture: "x86_64",
  cpus: 2,
  memoryBytes: 8 * 1024 ** 3,
  cgroupVersion: 2,
  cgroupLayout: "v2",
  hostname: "host",
};

const supportOfAll: Engine["limits"] = {
  memory: true,
  swap: true,
  memoryReservation: true,
  swappiness: false,
  oomKillDisable: false,
  cpuShares: true,
  cpuQuota: true,
  cpuRealtime: false,
  cpuset: true,
  pids: true,
  blkioWeight: true,
  blkioWeightDevice: true,
  weighsAnyDisk: true,
  blkioReadBps: true,
  blkioWriteBps: true,
  blkioReadIops: true,
  blkioWriteIops: true,
};

export const fixtureImage: Image = {
  id: `sha256:${"1".repeat(64)}`,
  config: {
    architecture: "amd64",
    os: "linux",
    created: "2026-11-24T08:00:00Z",
    config: { Cmd: ["/bin/sh"], Labels: { role: "base" } },
    rootfs: { type: "layers", diff_ids: [`sha256:${"a".repeat(64)}`] },
  },
  repoTags: ["box:1"],
  repoDigests: [],
  sizeBytes: 1000,
  lastTaggedAt: "2026-11-24T08:00:01Z",
  manifestDigest: `sha256:${"2".repeat(64)}`,
};

/** A container as the engine keeps it; `more` changes its spec. */
export function fixtureContainer(
  name: string,
  more: Partial<ContainerSpec> = {},
  state: Partial<Container["state"]> = {},
): Container {
  const spec = { ...emptySpec("box:1"), command: ["/bin/sh"], hostname: name, ...more };
  const noOther = (other: string): never => {
    throw new TiffinError("not-found", `No such container: ${other}`);
  };
  return {
    id: Buffer.from(name).toString("hex").padEnd(64, "0"),
    name,
    createdAt: "2026-11-24T08:00:02.123456789Z",
    imageId: fixtureImage.id,
    spec: { ...spec, mountPoints: planMountPoints(spec, noOther) },
    state: {
      ...INITIAL_STATE,
      ...state,
    },
    health: null,
    idBase: 0,
    logPath: `/state/${name}/logs/log`,
  };
}

/**
 * What runs in a container or exec of the fixture: takes all of stdin and answers when it has ended, so that only a
 * half-close that works brings an answer.
 */
export type FixtureProgram = (stdin: AsyncIterable<Uint8Array>) => AsyncIterable<OutputChunk>;

/** stdin comes back on stdout while it comes in; its end is told on stderr. */
export async function* echo(stdin: AsyncIterable<Uint8Array>): AsyncIterable<OutputChunk> {
  for await (const data of stdin) yield { stream: "stdout", data: Buffer.from(data) };
  yield { stream: "stderr", data: Buffer.from("end of input\n") };
}

/** An engine without volumes. */
const fixtureVolumes: VolumeVerbs = {
  all: () => [],
  find: (name) => {
    throw new TiffinError("not-found", `get ${name}: no such volume`);
  },
  create: () => Promise.reject(new TiffinError("not-implemented", "No volumes here")),
  remove: () => Promise.resolve(),
  prune: () => Promise.resolve({ removed: [], reclaimedBytes: 0 }),
  path: (name) => `/state/volumes/${name}/_data`,
  users: () => [],
  size: () => Promise.resolve(0),
};
async function* pieces(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

export class FixtureEngine implements Engine {
  readonly id = "fixture";
  readonly places = { root: "/state", run: "/run", socket: "/run/socket" };
  readonly host: HostFacts = fixtureHost;
  readonly limits: Engine["limits"] = supportOfAll;
  readonly images: ImageStore;
  readonly volumes: VolumeVerbs = fixtureVolumes;
  readonly networks: NetworkVerbs = fixtureNetworks("fixture");
  readonly all: Container[];
  program: FixtureProgram = echo;
  readonly started: string[] = [];
  readonly sentEvents: EngineEvent[] = [];
  logChunks: Uint8Array[] = [];
  readonly written: { bytes: number; asContainerUser: boolean; keepsKinds: boolean }[] = [];
  readonly commits: CommitRequest[] = [];
  changed: Change[][] = [];
  /** Live streams: those that the server has not ended yet. */
  open = 0;
  private readonly execsById = new Map<string, Exec>();
  private readonly exits = new Map<string, PromiseWithResolvers<WaitResult>>();

  constructor(containers: Container[] = [], images: ImageStore = new FixtureImages()) {
    this.all = containers;
    this.images = images;
  }

  createContainer(request: { name: string; spec: ContainerSpec }): Promise<{
    id: string;
    warnings: string[];
  }> {
    const container = fixtureContainer(request.name || "unnamed", request.spec);
    this.images.image(request.spec.image);
    this.all.unshift({ ...container, spec: { ...request.spec, hostname: "h" } });
    return Promise.resolve({ id: container.id, warnings: [] });
  }

  async startContainer(name: string): Promise<object> {
    const { id, state } = this.container(name);
    if (state.status === "running") throw new TiffinError("not-modified", "It runs");
    this.started.push(id);
    return {};
  }

  explain(): Promise<[]> {
    return Promise.resolve([]);
  }

  async stopContainer(name: string): Promise<void> {
    this.exitOf(this.container(name).id).resolve({ exitCode: 143 });
  }

  async restartContainer(name: string): Promise<void> {
    this.started.push(this.container(name).id);
  }

  async pauseContainer(name: string): Promise<void> {
    this.container(name);
  }

  async unpauseContainer(name: string): Promise<void> {
    this.container(name);
  }

  async renameContainer(name: string): Promise<void> {
    this.container(name);
  }

  async updateContainer(name: string): Promise<{ warnings: string[] }> {
    this.container(name);
    return { warnings: [] };
  }

  async top(): Promise<ProcessTable> {
    return { titles: ["PID"], processes: [["1"]] };
  }

  async killContainer(name: string): Promise<void> {
    this.exitOf(this.container(name).id).resolve({ exitCode: 137 });
  }

  async removeContainer(name: string): Promise<void> {
    this.all.splice(this.all.indexOf(this.container(name)), 1);
  }

  waitContainer(name: string): { result: Promise<WaitResult> } {
    const { id, state } = this.container(name);
    if (state.status === "exited") return { result: Promise.resolve({ exitCode: state.exitCode }) };
    return { result: this.exitOf(id).promise };
  }

  container(name: string): Container {
    const found = this.all.find((one) => one.name === name || one.id.startsWith(name));
    if (found === undefined) throw new TiffinError("not-found", `No such container: ${name}`);
    return found;
  }

  isolation(): Isolation {
    return {
      maskedPaths: ["/proc/kcore"],
      readOnlyPaths: ["/proc/sys"],
      cgroupnsMode: "private",
    };
  }

  containers(): Container[] {
    return [...this.all];
  }

  containerSize(): Promise<number> {
    return Promise.resolve(10);
  }

  async attach(name: string, request: AttachRequest): Promise<AttachSession> {
    const { id } = this.container(name);
    return this.session(request.stdin, (failed) =>
      this.exitOf(id).resolve({ exitCode: failed ? 1 : 3 }),
    );
  }

  async resizeContainer(name: string): Promise<void> {
    this.container(name);
  }

  async *logs(): AsyncIterable<[]> {
    // The API asks for copyLogs.
  }

  async *copyLogs(
    _name: string,
    request: LogCopy,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    yield* this.logChunks;
    if (request.follow) await this.untilAborted(signal);
  }

  async createExec(name: string, spec: ExecSpec): Promise<{ id: string }> {
    const id = "e".repeat(64);
    const containerId = this.container(name).id;
    this.execsById.set(id, { id, containerId, spec, running: false, pid: 0, exitCode: null });
    return { id };
  }

  async startExec(
    id: string,
    options: { detach: boolean; tty: boolean },
  ): Promise<AttachSession | undefined> {
    const { spec } = this.exec(id);
    if (spec.command[0] === "missing") {
      throw new TiffinError("command-not-found", 'exec: "missing": not found in $PATH');
    }
    return options.detach ? undefined : this.session(spec.attachStdin, () => undefined);
  }

  exec(id: string): Exec {
    const exec = this.execsById.get(id);
    if (exec === undefined) throw new TiffinError("not-found", `No such exec instance: ${id}`);
    return exec;
  }

  execs(): string[] {
    return [...this.execsById.keys()];
  }

  async resizeExec(): Promise<void> {
    // Nothing has a terminal here.
  }

  takeExecTimings(): [] {
    return [];
  }

  async pullImage(name: string, { report }: PullOptions): Promise<void> {
    if (!name.endsWith("box:1")) {
      throw new TiffinError("not-found", `manifest for ${name} not found`);
    }
    report({ id: "1", status: "Pulling from library/box" });
  }

  async pushImage(): Promise<void> {
    throw new TiffinError("internal", "The fixture pushes nothing");
  }

  /** Everybody is welcome, and there is nothing. */
  readonly registry: RegistryVerbs = {
    checkLogin: () => Promise.resolve(""),
    describe: (name) =>
      Promise.reject(new TiffinError("not-found", `manifest for ${name} not found`)),
    pushIndex: (name) => Promise.reject(new TiffinError("internal", `${name} is not pushed`)),
    referrers: () => Promise.resolve([]),
    search: () => Promise.resolve([]),
  };

  async *events(_options: object, signal: AbortSignal): AsyncIterable<EngineEvent> {
    yield* this.sentEvents;
    await this.untilAborted(signal);
  }

  pruneContainers(): Promise<{ items: []; freedBytes: number }> {
    return Promise.resolve({ items: [], freedBytes: 0 });
  }

  pruneImages(): Promise<{ items: []; removed: []; freedBytes: number }> {
    return Promise.resolve({ items: [], removed: [], freedBytes: 0 });
  }

  eventListeners(): number {
    return 0;
  }

  async *stats(): AsyncGenerator<[]> {
    yield [];
  }

  /** There is one file, /etc/motd. */
  async statPath(name: string, path: string): Promise<PathStatus> {
    this.container(name);
    if (path === "/etc/motd") {
      return {
        name: "motd",
        sizeBytes: 5,
        mode: 0o104755,
        mtimeNs: 1_500_000_000n,
        linkTarget: "",
      };
    }
    throw new TiffinError("not-found", `Could not find the file ${path} in container ${name}`);
  }

  async readPath({ name, path }: { name: string; path: string }): Promise<PathArchive> {
    const status = await this.statPath(name, path);
    return { status, chunks: pieces("an ", "archive"), close: () => Promise.resolve() };
  }

  async writePath(request: ArchiveWrite): Promise<void> {
    await this.statPath(request.name, request.path);
    const { archive, asContainerUser, keepsKinds } = request;
    let bytes = 0;
    for await (const chunk of archive) bytes += chunk.length;
    this.written.push({ bytes, asContainerUser, keepsKinds });
  }

  sharesHost(): boolean {
    return false;
  }

  async copyIn({ name, path }: CopyIn): Promise<void> {
    await this.statPath(name, path);
  }

  async copyOut({ name, path }: CopyOut): Promise<void> {
    await this.statPath(name, path);
  }

  async *changes(name: string): AsyncIterable<Change[]> {
    this.container(name);
    yield* this.changed;
  }

  async *exportContainer(name: string): AsyncIterable<Uint8Array> {
    this.container(name);
    yield* pieces("all ", "files");
  }

  async commitContainer(request: CommitRequest): Promise<string> {
    this.container(request.name);
    this.commits.push(request);
    return fixtureImage.id;
  }

  readyContainers(): [] {
    return [];
  }
  systemCheck(): Promise<[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private exitOf(id: string): PromiseWithResolvers<WaitResult> {
    const exit = this.exits.get(id) ?? Promise.withResolvers<WaitResult>();
    this.exits.set(id, exit);
    return exit;
  }

  private async untilAborted(signal: AbortSignal | undefined): Promise<void> {
    this.open += 1;
    await new Promise<void>((resolve) => {
      if (signal?.aborted) resolve();
      signal?.addEventListener("abort", () => resolve());
    });
    this.open -= 1;
  }

  private session(hasStdin: boolean, ended: (failed: boolean) => void): AttachSession {
    const stdin = new FixtureInput();
    if (!hasStdin) stdin.end();
    const { program } = this;
    let isClosed = false;
    const counted = async function* (): AsyncIterable<OutputChunk> {
      for await (const chunk of program(stdin)) {
        if (isClosed) return;
        yield chunk;
      }
      ended(isClosed);
    };
    this.open += 1;
    return {
      output: counted(),
      write: (data) => stdin.push(data),
      closeStdin: () => stdin.end(),
      close: () => {
        if (!isClosed) this.open -= 1;
        isClosed = true;
        stdin.end();
      },
    };
  }
}

/** A pipe of one chunk: `push` resolves when the chunk before it was taken. */
class FixtureInput implements AsyncIterable<Uint8Array> {
  private chunk: Uint8Array | undefined;
  private isEnded = false;
  private wake = Promise.withResolvers<void>();

  async push(data: Uint8Array): Promise<void> {
    while (this.chunk !== undefined && !this.isEnded) await this.changed();
    this.chunk = data;
    this.change();
  }

  end(): void {
    this.isEnded = true;
    this.change();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const { chunk } = this;
      if (chunk !== undefined) {
        this.chunk = undefined;
        this.change();
        yield chunk;
      } else if (this.isEnded) return;
      else await this.changed();
    }
  }

  private changed(): Promise<void> {
    return this.wake.promise;
  }

  private change(): void {
    this.wake.resolve();
    this.wake = Promise.withResolvers();
  }
}

/** One image, box:1. */
export class FixtureImages implements ImageStore {
  loadedBytes = 0;

  /** The fixture keeps no blobs. */
  readonly content: ContentStore = {
    digests: () => [],
    partials: () => [],
  } as unknown as ContentStore;

  image(reference: string): Image {
    if (["box:1", "box", fixtureImage.id].includes(reference)) return fixtureImage;
    throw new TiffinError("not-found", `No such image: ${reference}`);
  }

  images(): Image[] {
    return [fixtureImage];
  }

  layerDirectories(): string[] {
    return ["/state/layers/a"];
  }

  layerUse(): [] {
    return [];
  }

  forPush(): Promise<never> {
    throw new TiffinError("internal", "The fixture pushes nothing");
  }

  addDigest(): void {
    // It has been nowhere.
  }

  async *save(): AsyncGenerator<Uint8Array, void> {
    yield Buffer.from("an archive");
  }

  history(): [] {
    return [];
  }

  async load(archive: AsyncIterable<Uint8Array>): Promise<string[]> {
    for await (const chunk of archive) this.loadedBytes += chunk.length;
    if (this.loadedBytes < 100) {
      throw new TiffinError("invalid-argument", "Cannot load image: the archive is cut short");
    }
    return ["box:1"];
  }

  async importRootfs(archive: AsyncIterable<Uint8Array>): Promise<string> {
    for await (const chunk of archive) this.loadedBytes += chunk.length;
    return fixtureImage.id;
  }

  commit(): Promise<string> {
    return Promise.resolve(fixtureImage.id);
  }

  tag(): void {
    // Nothing is kept.
  }

  install(): Promise<string> {
    return Promise.resolve(fixtureImage.id);
  }

  remove(): Promise<[]> {
    return Promise.resolve([]);
  }

  collectGarbage(): Promise<{ removed: string[]; freedBytes: number }> {
    return Promise.resolve({ removed: [], freedBytes: 0 });
  }

  check(): { missing: string[]; unowned: string[] } {
    return { missing: [], unowned: [] };
  }
}
