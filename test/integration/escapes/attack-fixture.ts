/** An engine with an image that holds busybox and the attack programs of this directory, compiled here. */
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "bun:test";
import { callApi, callOk } from "../engine-api.ts";
import {
  type EngineFixture,
  busyboxTree,
  engineObstacle,
  openEngineFixture,
  type Ran,
} from "../engine-fixture.ts";

const PROGRAMS = join(import.meta.dirname, "programs");

/** Why attacks cannot be made here, in words, or undefined when they can. */
export const attackObstacle: string | undefined =
  engineObstacle ?? (Bun.which("cc") === null ? "this needs a C compiler" : undefined);

export interface AttackFixture {
  readonly engine: EngineFixture;
  /** A file that only the host has; its content. */
  readonly marker: string;
  readonly secret: string;
  /** Path on the host of a compiled program: for what is to be compared. */
  readonly program: (name: string) => string;
  /** Runs a shell script in a container of its own. */
  inside(options: readonly string[], script: string): Promise<Ran>;
  /** The script's output, errors included. */
  told(options: readonly string[], script: string): Promise<string>;
  /** Makes an image: links (`path` to `target`) and executable files, beside all that the attack image has. */
  image(
    name: string,
    content: { links?: Record<string, string>; files?: Record<string, string> },
  ): Promise<void>;
  close(): Promise<void>;
}

/** Starts an engine. Call `close()` in afterAll. */
export async function openAttackFixture(
  env: Readonly<Record<string, string>> = {},
): Promise<AttackFixture> {
  const engine = await openEngineFixture({ env });
  const tree = busyboxTree(engine.directory);
  const names = readdirSync(PROGRAMS).map((file) => file.replace(/\.c$/, ""));
  await Promise.all(names.map((name) => compile(name, join(tree, "bin", name))));
  await engine.importBusybox("attack:latest");
  const marker = join(engine.directory, "only-on-the-host");
  const secret = `secret of ${engine.engineId}`;
  writeFileSync(marker, secret);
  const inside = (options: readonly string[], script: string): Promise<Ran> =>
    engine.tiffin(["run", "--rm", ...options, "attack", "sh", "-c", script]);
  return {
    engine,
    marker,
    secret,
    program: (name) => join(tree, "bin", name),
    inside,
    told: async (options, script) => {
      const { stdout, stderr } = await inside(options, script);
      return `${stdout}${stderr}`;
    },
    image: (name, content) => makeImage(engine, name, content),
    close: () => engine.close(),
  };
}

async function compile(name: string, to: string): Promise<void> {
  const source = join(PROGRAMS, `${name}.c`);
  expect(await Bun.spawn(["cc", "-static", "-O1", "-w", "-o", to, source]).exited).toBe(0);
}

/** One more process in a running container, without the time that a client takes. Resolves to all that it told. */
export async function execThroughApi(
  engine: EngineFixture,
  container: string,
  exec: { Cmd: readonly string[]; WorkingDir?: string },
): Promise<{ status: number; text: string }> {
  const body = { ...exec, AttachStdout: true, AttachStderr: true };
  const { Id } = await callOk<{ Id: string }>(
    engine,
    "POST",
    `/containers/${container}/exec`,
    body,
  );
  return await callApi(engine, "POST", `/exec/${Id}/start`, { Detach: false });
}

async function makeImage(
  engine: EngineFixture,
  name: string,
  { links = {}, files = {} }: { links?: Record<string, string>; files?: Record<string, string> },
): Promise<void> {
  const tree = join(engine.directory, `image-${name.replaceAll(/[^a-z0-9]/g, "-")}`);
  mkdirSync(join(tree, "bin"), { recursive: true });
  mkdirSync(join(tree, "tmp"));
  const original = busyboxTree(engine.directory);
  for (const program of [
    "busybox",
    ...readdirSync(PROGRAMS).map((file) => file.replace(/\.c$/, "")),
  ]) {
    copyFileSync(join(original, "bin", program), join(tree, "bin", program));
  }
  for (const applet of [
    "sh",
    "ls",
    "cat",
    "mount",
    "stat",
    "wc",
    "grep",
    "sleep",
    "true",
    "echo",
    "pwd",
    "ln",
    "mkdir",
    "readlink",
  ]) {
    symlinkSync("busybox", join(tree, "bin", applet));
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(join(tree, path, ".."), { recursive: true });
    symlinkSync(target, join(tree, path));
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(tree, path, ".."), { recursive: true });
    writeFileSync(join(tree, path), text, { mode: 0o755 });
  }
  const archive = `${tree}.tar`;
  expect(await Bun.spawn(["tar", "-C", tree, "-cf", archive, "."]).exited).toBe(0);
  await engine.tiffinOk("import", archive, name);
}
