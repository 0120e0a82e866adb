import { existsSync, globSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import {
  type Engine,
  endDaemon,
  output,
  perform,
  removeContainers,
  waitUntilAnswers,
} from "./engine.ts";
import { removeGroup } from "./own-cgroups.ts";
import type { OwnNetwork } from "./own-network.ts";
import { killWhatNames } from "./processes.ts";
import { busyboxArchive, scratch } from "./scratch.ts";

const project = join(import.meta.dir, "..");
const release = join(project, "build/tiffin");
const checkout = join(project, "bin/tiffin");

/**
 * Tiffin's release executable, built when it is missing. `remarks` gets what a reader of the figures must know: that they are
 * those of the sources run by Bun, or of an executable older than the sources.
 */
export function tiffinEngine(remarks: string[], network?: OwnNetwork): Engine {
  const directory = join(scratch(), network === undefined ? "tiffin" : "tiffin-net");
  const run = join(directory, "run");
  let daemon: Bun.Subprocess | undefined;
  const engine: Engine = {
    name: "tiffin",
    obstacle: undefined,
    client: [executable(remarks)],
    environment: {
      TIFFIN_ROOT: join(directory, "root"),
      TIFFIN_RUN: run,
      TIFFIN_HOST: `unix://${run}/tiffin.sock`,
    },
    runOptions: [],
    pullOptions: [],
    removal: ["rm", "-f"],
    wholeLog: ["--log-opt", "max-size=-1"],
    logPath: "{{.LogPath}}",
    start: async () => {
      mkdirSync(directory);
      // A session of its own: Ctrl-C is for the bench, which then removes the containers first.
      const started = Bun.spawn([...(network?.enter ?? []), ...engine.client, "engine"], {
        env: { ...process.env, ...engine.environment },
        stdio: ["ignore", "ignore", openSync(join(directory, "log"), "a")],
        detached: true,
      });
      daemon = started;
      let group: string | undefined;
      whenDone(async () => {
        try {
          await removeContainers(engine);
        } finally {
          await endDaemon(started);
          killWhatNames(directory);
          if (group !== undefined) removeGroup(group);
        }
      });
      await waitUntilAnswers(engine, ["version"]);
      group = join("tiffin", await output(engine, "info", "--format", "{{.ID}}"));
      await perform(engine, "import", busyboxArchive(), "busybox");
    },
    daemons: () => (daemon === undefined ? [] : [daemon.pid]),
    describe: () => output(engine, "--version"),
  };
  return engine;
}

function executable(remarks: string[]): string {
  if (!existsSync(release)) {
    console.error("bench: npm run build");
    const { exitCode } = Bun.spawnSync(["npm", "run", "build"], {
      cwd: project,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (exitCode !== 0 || !existsSync(release)) {
      remarks.push(
        "The release executable could not be built: tiffin's figures are those of `bin/tiffin`.",
      );
      return checkout;
    }
  }
  const newest = Math.max(
    ...globSync(["src/**/*.ts", "native/*.c", "native/*.h"], { cwd: project })
      .filter((path) => !path.endsWith(".test.ts"))
      .map((path) => statSync(join(project, path)).mtimeMs),
  );
  if (newest > statSync(release).mtimeMs) {
    remarks.push("`build/tiffin` is older than the sources: run `npm run build` first.");
  }
  return release;
}
