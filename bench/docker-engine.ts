import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { missingPrograms } from "./command.ts";
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
import { childrenOf, killWhatNames } from "./processes.ts";
import { busyboxArchive, scratch } from "./scratch.ts";

/**
 * A dockerd of our own, beside any that the machine runs. In a network namespace of its own it has its bridge and its firewall
 * rules; on the host it has neither, for then all runs have no network.
 */
export function dockerEngine(network?: OwnNetwork): Engine {
  const place = network === undefined ? "docker" : "docker-net";
  const directory = join(scratch(), place);
  const host = `unix://${join(directory, "docker.sock")}`;
  const group = `tiffin-bench-${place}.${process.pid}`;
  let daemon: Bun.Subprocess | undefined;
  const engine: Engine = {
    name: "docker",
    obstacle: missingPrograms(
      "dockerd",
      "containerd",
      "docker",
      ...(network === undefined ? [] : ["iptables"]),
    ),
    client: ["docker"],
    environment: { DOCKER_HOST: host },
    runOptions: [],
    pullOptions: [],
    removal: ["rm", "-f"],
    wholeLog: ["--log-driver", "json-file"],
    logPath: "{{.LogPath}}",
    start: async () => {
      mkdirSync(directory);
      const started = Bun.spawn(
        [
          ...(network?.enter ?? []),
          "dockerd",
          "-H",
          host,
          ...places(directory),
          `--cgroup-parent=/${group}`,
          ...(network === undefined ? WITHOUT_NETWORK : []),
        ],
        {
          stdio: ["ignore", "ignore", openSync(join(directory, "log"), "a")],
          detached: true,
        },
      );
      daemon = started;
      whenDone(async () => {
        try {
          await removeContainers(engine);
        } finally {
          await endDaemon(started);
          killWhatNames(directory);
          removeGroup(group);
        }
      });
      await waitUntilAnswers(engine, ["version"]);
      await perform(engine, "import", busyboxArchive(), "busybox");
    },
    daemons: () => (daemon === undefined ? [] : [daemon.pid, ...childrenOf(daemon.pid)]),
    describe: async () => {
      const versions = "docker {{.Server.Version}} (client {{.Client.Version}})";
      const driver = await output(engine, "info", "--format", "{{.Driver}}, {{.DefaultRuntime}}");
      return `${await output(engine, "version", "--format", versions)}, ${driver}`;
    },
  };
  return engine;
}

const WITHOUT_NETWORK = ["--iptables=false", "--bridge=none"];

function places(directory: string): string[] {
  return [
    `--data-root=${join(directory, "data")}`,
    `--exec-root=${join(directory, "exec")}`,
    `--pidfile=${join(directory, "pid")}`,
  ];
}
