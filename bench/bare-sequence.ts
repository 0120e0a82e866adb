import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { missingPrograms, outputOf } from "./command.ts";
import { busyboxRoot, scratch } from "./scratch.ts";

export const bareSequenceObstacle: string | undefined = missingPrograms("cc");

let program: string | undefined;

/** Milliseconds that the bare system calls of a start take (bare-sequence.c), once, on a writable layer of its own. */
export async function runBareSequence(): Promise<number> {
  program ??= await compile();
  const layer = join(scratch(), "bare-layer");
  mkdirSync(layer);
  try {
    return Number(await outputOf([program, busyboxRoot(), layer])) / 1e6;
  } finally {
    rmSync(layer, { recursive: true });
  }
}

async function compile(): Promise<string> {
  // Root of a user namespace of its own has to find its way to the layers.
  chmodSync(scratch(), 0o711);
  const path = join(scratch(), "bare-sequence");
  const source = join(import.meta.dir, "bare-sequence.c");
  await outputOf(["cc", "-O2", "-static", "-o", path, source]);
  return path;
}
