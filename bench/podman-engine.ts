import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { missingPrograms, outputOf } from "./command.ts";
import { type Engine, output, perform, removeContainers } from "./engine.ts";
import { withoutV2Side } from "./hybrid-cgroups.ts";
import { removeGroup } from "./own-cgroups.ts";
import type { OwnNetwork } from "./own-network.ts";
import { killWhatNames } from "./processes.ts";
import { busyboxArchive, scratch } from "./scratch.ts";

/** Without systemd podman has neither its cgroup manager nor a journal; without CAP_SYS_RESOURCE it may not raise limits. */
const CONFIGURATION = `[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
`;

const NETAVARK = "/usr/lib/podman/netavark";

/** Networks by netavark, its own program; its lists and records are ours, too. */
function networkConfiguration(directory: string): string {
  return `[network]
network_backend = "netavark"
network_config_dir = "${join(directory, "networks")}"
`;
}

function missingForPodman(network: OwnNetwork | undefined): string | undefined {
  const missing = missingPrograms("podman", "conmon", "crun");
  if (missing !== undefined || network === undefined || existsSync(NETAVARK)) return missing;
  return `not installed: ${NETAVARK}`;
}

/** Podman with crun, its default, overlay and a log of its own in a file. */
export function podmanEngine(network?: OwnNetwork): Engine {
  const place = network === undefined ? "podman" : "podman-net";
  const directory = join(scratch(), place);
  const configuration = join(directory, "containers.conf");
  const group = `tiffin-bench-${place}.${process.pid}`;
  const places = [
    "--root",
    join(directory, "root"),
    "--runroot",
    join(directory, "run"),
    "--tmpdir",
    join(directory, "tmp"),
    "--storage-driver",
    "overlay",
  ];
  const client = ["podman", ...places];
  const engine: Engine = {
    name: "podman",
    obstacle: missingForPodman(network),
    client,
    environment: { CONTAINERS_CONF: configuration },
    runOptions: ["--cgroup-parent", `/${group}`],
    pullOptions: ["--tls-verify=false"],
    removal: ["rm", "-f", "-t", "0"],
    wholeLog: [],
    logPath: "{{.HostConfig.LogConfig.Path}}",
    start: async () => {
      mkdirSync(directory);
      const networks = network === undefined ? "" : networkConfiguration(directory);
      writeFileSync(configuration, CONFIGURATION + networks);
      client.unshift(...enteringBoth(await withoutV2Side(), network?.enter ?? []));
      whenDone(async () => {
        try {
          await removeContainers(engine);
        } finally {
          killWhatNames(directory);
          removeGroup(group);
        }
      });
      await perform(engine, "import", busyboxArchive(), "busybox");
    },
    daemons: () => [],
    describe: async () => {
      const runtime = (await outputOf(["crun", "--version"])).split("\n")[0] ?? "";
      const driver = await output(engine, "info", "--format", "{{.Store.GraphDriverName}}");
      return `${await outputOf(["podman", "--version"])}, ${driver}, ${runtime}`;
    },
  };
  return engine;
}

/** Two namespaces cost one nsenter. */
function enteringBoth(one: readonly string[], other: readonly string[]): readonly string[] {
  return one.length === 0 ? other : [...one, ...other.slice(1)];
}
