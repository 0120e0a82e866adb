import { faultPoint } from "../base/fault-point.ts";
import { type ContainerConfig, changeConfig } from "../images/config-change.ts";
import { runTreeTask } from "../layers/tree-thread.ts";
import { readable } from "./container-changes.ts";
import { lockContainer, ownLayer } from "./container-tree.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { freezeContainer, thawContainer } from "./freeze-container.ts";

export interface CommitRequest {
  readonly name: string;
  /** `name[:tag]`; absent: the image gets no name. */
  readonly reference?: string;
  readonly author: string;
  readonly comment: string;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** What the image's configuration has instead of the container's. */
  readonly config: ContainerConfig;
  /** Stop the container's processes while its files are read. */
  readonly pause: boolean;
}

/**
 * Makes an image of a container: its image's layers and one more with what it has changed. The same changes give the same layer.
 * Volumes are no part of it. An engine that is killed meanwhile leaves no image, and its successor lets the container go on.
 * @throws conflict (removed, dead); invalid-argument (reference, instructions)
 */
export async function commitContainer(
  context: EngineContext,
  request: CommitRequest,
): Promise<string> {
  const { name, changes, author, comment, reference } = request;
  const container = readable(context, name, "commit");
  const config = changes.reduce(changeConfig, mergeConfig(request.config, container));
  const unlock = await lockContainer(context, container.id);
  try {
    const current = readable(context, container.id, "commit");
    const isFrozen = request.pause && current.state.status === "running";
    const imageId = await (isFrozen ? whileFrozen(context, current.id, commit) : commit());
    faultPoint("commit:recorded");
    const imageRef = reference ?? "";
    emitContainerEvent(context, current, "commit", { comment, imageID: imageId, imageRef });
    return imageId;
  } finally {
    unlock();
  }

  function commit(): Promise<string> {
    return context.images.commit({
      parent: container.imageId,
      layer: layerChunks(context, container),
      config,
      author,
      comment,
      createdBy: (container.spec.command ?? []).join(" "),
      ...(reference === undefined ? {} : { reference }),
    });
  }
}

async function* layerChunks(
  context: EngineContext,
  container: StoredContainer,
): AsyncGenerator<Uint8Array, void> {
  const layer = ownLayer(context, container);
  for await (const result of runTreeTask({ kind: "layer", layer })) {
    if (result.kind === "chunk") yield result.data;
  }
}

/** Nothing of the container's state changes: an engine that takes over finds it running and thaws it (recover.ts). */
async function whileFrozen<Result>(
  context: EngineContext,
  id: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await freezeContainer(context, id, "commit");
  try {
    faultPoint("commit:frozen");
    return await work();
  } finally {
    thawContainer(context, id);
  }
}

/** Docker's rule: what the request names, and the container's own for all else; variables, labels, ports and volumes united. */
function mergeConfig(asked: ContainerConfig, { spec }: StoredContainer): ContainerConfig {
  const names = new Set((asked.Env ?? []).map(variableName));
  const asSet = (keys: readonly string[]): Record<string, object> =>
    Object.fromEntries(keys.map((key) => [key, {}]));
  const ports = { ...asSet(spec.exposedPorts), ...asked.ExposedPorts };
  const volumes = { ...asSet(spec.volumes), ...asked.Volumes };
  const labels = { ...spec.labels, ...asked.Labels };
  const hasCommand = (asked.Entrypoint ?? []).length > 0 || (asked.Cmd ?? []).length > 0;
  const command = hasCommand ? asked.Cmd : spec.command;
  const entrypoint = asked.Entrypoint ?? spec.entrypoint;
  const workingDirectory = asked.WorkingDir || spec.workingDirectory;
  const user = asked.User || spec.user;
  const stopSignal = asked.StopSignal || spec.stopSignal;
  const environment = [
    ...(asked.Env ?? []),
    ...spec.environment.filter((variable) => !names.has(variableName(variable))),
  ];
  return {
    ...asked,
    ...(user === "" ? {} : { User: user }),
    ...(Object.keys(ports).length === 0 ? {} : { ExposedPorts: ports }),
    ...(environment.length === 0 ? {} : { Env: environment }),
    ...(entrypoint === null ? {} : { Entrypoint: entrypoint }),
    ...(command == null ? {} : { Cmd: command }),
    ...(Object.keys(volumes).length === 0 ? {} : { Volumes: volumes }),
    ...(workingDirectory === "" ? {} : { WorkingDir: workingDirectory }),
    ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
    ...(stopSignal === "" ? {} : { StopSignal: stopSignal }),
  };
}

function variableName(variable: string): string {
  return variable.split("=", 1)[0] ?? "";
}
