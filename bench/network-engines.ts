import { dockerEngine } from "./docker-engine.ts";
import { type Engine, perform } from "./engine.ts";
import type { Bench } from "./measure.ts";
import { networkArchive, NETWORK_IMAGE } from "./network-image.ts";
import { makeOwnNetwork, type OwnNetwork, ownNetworkObstacle } from "./own-network.ts";
import { podmanEngine } from "./podman-engine.ts";
import { tiffinEngine } from "./tiffin-engine.ts";

/** An engine whose containers have networks, and the namespace in which they are. */
export interface NetworkedEngine {
  readonly engine: Engine;
  readonly network: OwnNetwork;
}

let started: Promise<readonly NetworkedEngine[]> | undefined;

/** Further engines of those that are measured, each in a network namespace of its own, started by the first who asks. */
export function networkedEngines(bench: Bench): Promise<readonly NetworkedEngine[]> {
  started ??= startAll(bench);
  return started;
}

async function startAll(bench: Bench): Promise<NetworkedEngine[]> {
  if (ownNetworkObstacle !== undefined) throw new Error(ownNetworkObstacle);
  const engines: NetworkedEngine[] = [];
  for (const { name } of bench.engines) {
    const network = await makeOwnNetwork();
    const engine = make(name, network);
    if (engine.obstacle !== undefined) {
      bench.remark(`Left out of the networks' rows: ${name}: ${engine.obstacle}.`);
      continue;
    }
    bench.tell(`networks: starting ${name}`);
    await engine.start();
    await perform(engine, "import", await networkArchive(), NETWORK_IMAGE);
    engines.push({ engine, network });
  }
  return engines;
}

function make(name: string, network: OwnNetwork): Engine {
  if (name === "docker") return dockerEngine(network);
  return name === "podman" ? podmanEngine(network) : tiffinEngine([], network);
}
