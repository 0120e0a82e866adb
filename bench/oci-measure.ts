import { join } from "node:path";
import { missingPrograms, timeCommand } from "./command.ts";
import { withoutV2Side } from "./hybrid-cgroups.ts";
import { type Measure, takeTurns, type Turn } from "./measure.ts";
import { trueBundle } from "./oci-bundle.ts";
import type { Row } from "./results.ts";
import { scratch } from "./scratch.ts";

/** Each runtime as a command without its own words. */
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  crun: ["crun", "--cgroup-manager=cgroupfs"],
  runc: ["runc"],
};

/** `run` of the same bundle by OCI runtimes: no engine, no seccomp filter. All in the same mount namespace. */
export const ociMeasure: Measure = {
  name: "oci-run",
  run: async (bench) => {
    const row: Row = { name: "oci-run", title: "`oci run` of a bundle, `true`", unit: "ms" };
    const tiffin = bench.engines.find(({ name }) => name === "tiffin");
    if (tiffin === undefined || missingPrograms("crun") !== undefined) return;
    const runtimes = Object.entries(RUNTIMES).filter(
      ([name]) => missingPrograms(name) === undefined,
    );
    const commands = [["tiffin", [...tiffin.client, "oci"]] as const, ...runtimes];
    const enter = await withoutV2Side();
    const turns = new Map<string, Turn>();
    for (const [name, command] of commands) {
      const bundle = await trueBundle(name);
      const root = join(scratch(), `oci-${name}`);
      const words = ["--root", root, "run", "--bundle", bundle, `bench-${process.pid}`];
      turns.set(name, () => timeCommand([...enter, ...command, ...words]));
    }
    await takeTurns(bench, row, turns, bench.runs(30));
  },
};
