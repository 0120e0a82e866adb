import { diskUsage } from "../layers/writable-layer.ts";
import { attachContainer } from "./attach-container.ts";
import { commitContainer } from "./commit-container.ts";
import { peerSharesHost } from "../kernel/peer.ts";
import {
  copyIntoContainer,
  copyOutOfContainer,
  readContainerPath,
  statContainerPath,
  writeContainerPath,
} from "./container-archive.ts";
import { containerChanges, exportContainer } from "./container-changes.ts";
import { containerDirectories } from "./container-directories.ts";
import { containerTop } from "./container-top.ts";
import { containerLogs, copyContainerLogs } from "./container-logs.ts";
import { containerStats } from "./container-stats.ts";
import { createContainer } from "./create-container.ts";
import type { EngineContext } from "./context.ts";
import type { Engine } from "./engine.ts";
import { createExec, startExec } from "./exec-container.ts";
import { explainRequest } from "./explain-request.ts";
import { isolationOf } from "./isolation.ts";
import { pauseContainer } from "./pause-container.ts";
import { renameContainer } from "./rename-container.ts";
import { pruneContainers } from "./prune-containers.ts";
import { pruneImages } from "./prune-images.ts";
import { pullImage } from "./pull-image.ts";
import { pushImage } from "./push-image.ts";
import { registryVerbs } from "./registry-verbs.ts";
import { removeContainer } from "./remove-container.ts";
import { restartContainer } from "./restart-container.ts";
import { startContainer } from "./start-container.ts";
import { killContainer, runningProcess, stopContainer } from "./stop-container.ts";
import { systemCheck } from "./system-check.ts";
import { unpauseContainer } from "./unpause-container.ts";
import { networkVerbs } from "./networks/network-verbs.ts";
import { volumeVerbs } from "./volume-verbs.ts";
import { updateContainer } from "./update-container.ts";
import { waitContainer } from "./wait-container.ts";
import { TiffinError } from "../base/error.ts";

/** The verbs bound to one engine. */
export function engineVerbs(context: EngineContext): Omit<Engine, "close"> {
  const { containers, execs, events, places } = context;
  return {
    id: context.id,
    places,
    images: context.images,
    volumes: volumeVerbs(context),
    networks: networkVerbs(context),
    host: context.host,
    limits: context.cgroups.support,
    createContainer: (request) => createContainer(context, request),
    startContainer: (name, options) => startContainer(context, name, options),
    explain: (request) => explainRequest(context, request),
    stopContainer: (name, options) => stopContainer(context, name, options),
    restartContainer: (name, options) => restartContainer(context, name, options),
    pauseContainer: (name) => pauseContainer(context, name),
    unpauseContainer: (name) => unpauseContainer(context, name),
    renameContainer: async (name, newName) => renameContainer(context, name, newName),
    updateContainer: async (name, change) => updateContainer(context, name, change),
    top: (name, psOptions) => containerTop(context, name, psOptions),
    killContainer: (name, signal) => killContainer(context, name, signal),
    removeContainer: (name, options) => removeContainer(context, name, options),
    waitContainer: (name, condition, signal) => waitContainer(context, name, condition, signal),
    container: (name) => containers.find(name),
    isolation: (name) => isolationOf(context, name),
    containers: () => containers.all().toReversed(),
    containerSize: async (name) => {
      const { writable } = containerDirectories(places, containers.find(name).id);
      return (await diskUsage(`${writable}/upper`)).sizeBytes;
    },
    attach: async (name, request) => attachContainer(context, name, request),
    resizeContainer: (name, rows, columns) =>
      runningProcess(context, containers.find(name)).resize(rows, columns),
    logs: (name, request, signal) => containerLogs(context, name, request, signal),
    copyLogs: (name, request, signal) => copyContainerLogs(context, name, request, signal),
    pruneContainers: (options) => pruneContainers(context, options),
    pruneImages: (options) => pruneImages(context, options),
    stats: (request, signal) => containerStats(context, request, signal),
    statPath: (name, path) => statContainerPath(context, name, path),
    readPath: (request) => readContainerPath(context, request),
    writePath: (request) => writeContainerPath(context, request),
    sharesHost: peerSharesHost,
    copyIn: (request) => copyIntoContainer(context, request),
    copyOut: (request) => copyOutOfContainer(context, request),
    changes: (name, signal) => containerChanges(context, name, signal),
    exportContainer: (name, signal) => exportContainer(context, name, signal),
    commitContainer: (request) => commitContainer(context, request),
    createExec: async (name, spec) => createExec(context, name, spec),
    startExec: (id, options) => startExec(context, id, options),
    takeExecTimings: (id) => context.execTimings.take(execs.find(id).id),
    exec: (id) => execs.find(id),
    execs: (name) => execs.of(containers.find(name).id).map(({ id }) => id),
    resizeExec: async (id, rows, columns) => {
      const process = context.processes.get(execs.find(id).id);
      if (!process) throw new TiffinError("conflict", `Exec ${id} is not running`);
      await process.resize(rows, columns);
    },
    eventListeners: () => events.listenerCount(),
    pullImage: (name, options) => pullImage(context, name, options),
    registry: registryVerbs,
    pushImage: (name, options) => pushImage(context, name, options),
    events: (options, signal) => events.subscribe(options, signal),
    systemCheck: (options) => systemCheck(context, options),
    readyContainers: () => context.ready.ids,
  };
}
