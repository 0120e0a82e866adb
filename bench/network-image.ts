import { copyFileSync, cpSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { missingPrograms, outputOf } from "./command.ts";
import { busyboxRoot, scratch } from "./scratch.ts";

/** Busybox with what makes traffic: iperf3, and connections.c as `connections`. */
export const NETWORK_IMAGE = "traffic";

export const throughputObstacle: string | undefined = missingPrograms("iperf3");
const connectionsObstacle = missingPrograms("cc");

/** The program that counts connections, for the host's side. */
export async function connectionsProgram(): Promise<string> {
  const path = join(scratch(), "connections");
  if (existsSync(path)) return path;
  if (connectionsObstacle !== undefined) throw new Error(connectionsObstacle);
  const source = join(import.meta.dir, "connections.c");
  await outputOf(["cc", "-O2", "-static", "-o", path, source]);
  return path;
}

/** The image as a tar archive, for `import`. */
export async function networkArchive(): Promise<string> {
  const path = join(scratch(), "network.tar");
  if (existsSync(path)) return path;
  const tree = join(scratch(), "network-rootfs");
  cpSync(busyboxRoot(), tree, { recursive: true, verbatimSymlinks: true });
  copyFileSync(await connectionsProgram(), join(tree, "bin/connections"));
  if (throughputObstacle === undefined) await addProgram(tree, Bun.which("iperf3") ?? "iperf3");
  await outputOf(["tar", "-C", tree, "-cf", path, "."]);
  return path;
}

/** With its libraries, at their places. */
async function addProgram(tree: string, program: string): Promise<void> {
  const listed = await outputOf(["ldd", program]);
  const libraries = listed.match(/\/\S+/g) ?? [];
  for (const file of [program, ...libraries]) {
    const place = join(tree, file);
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(file, place);
  }
}
