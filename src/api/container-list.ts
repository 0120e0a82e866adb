import type { Engine } from "../engine/engine.ts";
import type { Container, ContainerStatus } from "../engine/types.ts";
import { invalidArgument } from "../base/error.ts";
import { commandOf, isRunning, statusWords } from "./container-json.ts";
import { healthWord } from "./container-health.ts";
import { isNever, unixSeconds } from "./docker-time.ts";
import { type Filters, invalidFilter, parseFilters } from "./filters.ts";
import { mountPointsOf } from "./mount-format.ts";
import { endpointsOf, portSummaries } from "./network-settings.ts";
import { unlessMissing } from "./unless-missing.ts";
import { json, type JsonReply } from "./reply.ts";
import { queryFlag, queryInteger, type ApiRequest } from "./request.ts";
import type { ContainerSummaryWire } from "./wire.ts";

const acceptedFilters = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const statuses: readonly ContainerStatus[] = [
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
];
const healthWords = ["none", "starting", "healthy", "unhealthy"];

/** `GET /containers/json` */
export async function listContainers(request: ApiRequest): Promise<JsonReply> {
  const { engine } = request;
  const filters = parseFilters(request.query.get("filters"), acceptedFilters);
  const limit = queryInteger(request, "limit") ?? 0;
  const isWanted = containerFilter(engine, filters);
  const all = queryFlag(request, "all") || limit > 0 || filters.has("status");
  const matching = range(engine, filters).filter(
    (container) => (all || isRunning(container.state)) && isWanted(container),
  );
  const shown = limit > 0 ? matching.slice(0, limit) : matching;
  const summarize = summarizer(engine, queryFlag(request, "size"));
  const summaries: ContainerSummaryWire[] = [];
  for (const container of shown) summaries.push(await summarize(container));
  return json(summaries);
}

/** The containers older than `before` and newer than `since`; the newest first. @throws not-found */
function range(engine: Engine, filters: Filters): Container[] {
  let containers = engine.containers();
  const [before] = filters.values("before");
  if (before !== undefined) {
    const { id } = engine.container(before);
    containers = containers.slice(containers.findIndex((container) => container.id === id) + 1);
  }
  const [since] = filters.values("since");
  if (since !== undefined) {
    const { id } = engine.container(since);
    const end = containers.findIndex((container) => container.id === id);
    // `since` can lie outside of what `before` left: then nothing is newer.
    containers = containers.slice(0, Math.max(end, 0));
  }
  return containers;
}

type Predicate = (container: Container) => boolean;

/** Docker's filters, in its words for what is wrong with them (moby, daemon/list.go). @throws invalid-argument */
function containerFilter(engine: Engine, filters: Filters): Predicate {
  const predicates: Predicate[] = [
    ({ name }) => filters.pattern("name", name, `/${name}`),
    ({ id }) => filters.pattern("id", id),
    ({ spec }) => filters.labels("label", spec.labels),
    statusFilter(filters),
    healthFilter(filters),
    taskFilter(filters),
    exitedFilter(filters),
    ancestorFilter(engine, filters),
    volumeFilter(filters),
    networkFilter(engine, filters),
    exposeFilter(filters),
    publishFilter(filters),
  ];
  return (container) => predicates.every((isMatch) => isMatch(container));
}

function statusFilter(filters: Filters): Predicate {
  for (const status of filters.values("status")) {
    if (!statuses.some((known) => known === status)) throw invalidFilter(`status=${status}`);
  }
  return ({ state }) => filters.exact("status", state.status);
}

function healthFilter(filters: Filters): Predicate {
  for (const health of filters.values("health")) {
    if (!healthWords.includes(health)) {
      throw invalidArgument(`unrecognized filter value for health: ${health}`);
    }
  }
  return (container) => filters.exact("health", healthWord(container));
}

/** No container here is a task of a swarm. */
function taskFilter(filters: Filters): Predicate {
  const isTask = filters.flag("is-task");
  return () => isTask !== true;
}

function exitedFilter(filters: Filters): Predicate {
  const codes = filters.values("exited").map((value) => {
    if (!/^-?\d{1,9}$/.test(value)) throw invalidFilter(`exited=${value}`);
    return Number(value);
  });
  return ({ state }) =>
    codes.length === 0 ||
    (!isRunning(state) && !isNever(state.startedAt) && codes.includes(state.exitCode));
}

/** Containers of an image, or of one that has all of that image's layers below its own. */
function ancestorFilter(engine: Engine, filters: Filters): Predicate {
  if (!filters.has("ancestor")) return () => true;
  const bases = filters.values("ancestor").flatMap((reference) => {
    const image = unlessMissing(() => engine.images.image(reference));
    return image === undefined ? [] : [image];
  });
  const ids = new Set(bases.map(({ id }) => id));
  for (const image of engine.images.images()) {
    const layers = image.config.rootfs.diff_ids;
    const descends = bases.some(({ config }) => {
      const base = config.rootfs.diff_ids;
      return base.length > 0 && base.every((layer, index) => layers[index] === layer);
    });
    if (descends) ids.add(image.id);
  }
  return ({ imageId }) => ids.has(imageId);
}

/** By name (volumes), host path (binds), or destination. */
function volumeFilter(filters: Filters): Predicate {
  const wanted = filters.values("volume");
  return ({ spec }) =>
    wanted.length === 0 ||
    wanted.some((word) =>
      spec.mountPoints.some(({ source, target }) => target === word || source === word),
    );
}

function networkFilter(engine: Engine, filters: Filters): Predicate {
  const wanted = filters.values("network");
  return (container) =>
    wanted.length === 0 ||
    Object.entries(endpointsOf(container, engine.networks)).some(([name, { NetworkID }]) =>
      wanted.some((word) => word === name || NetworkID.startsWith(word)),
    );
}

function exposeFilter(filters: Filters): Predicate {
  const wanted = filters.values("expose").flatMap((value) => portsOf("expose", value));
  return ({ spec }) => {
    if (wanted.length === 0) return true;
    const exposed = new Set(spec.exposedPorts.flatMap((port) => portsOf("expose", port)));
    return wanted.some((port) => exposed.has(port));
  };
}

/** By the container's port. */
function publishFilter(filters: Filters): Predicate {
  const wanted = filters.values("publish").flatMap((value) => portsOf("publish", value));
  return ({ spec }) =>
    wanted.length === 0 || wanted.some((port) => Object.hasOwn(spec.portBindings, port));
}

/** `80`, `80-82/udp` -> `80/udp` and so on. */
function portsOf(filter: string, value: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value);
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null || last > 65535 || last < first) {
    throw invalidArgument(`invalid filter '${filter}=${value}': want PORT[-PORT][/PROTOCOL]`);
  }
  const protocol = match[3] ?? "tcp";
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

/** Makes summaries as of now; image names are looked up once for all containers of an image. */
export function summarizer(
  engine: Engine,
  withSize: boolean,
): (container: Container) => Promise<ContainerSummaryWire> {
  const now = Date.now();
  const names = new Map<string, string>();
  return async (container) => {
    const { spec, state } = container;
    return {
      Id: container.id,
      Names: [`/${container.name}`],
      Image: shownImage(engine, container, names),
      ImageID: container.imageId,
      Command: shownCommand(commandOf(spec)),
      Created: unixSeconds(container.createdAt),
      Ports: portSummaries(container, engine.networks),
      ...(withSize ? await sizes(engine, container) : {}),
      Labels: spec.labels,
      State: state.status,
      Status: statusWords(container, now),
      HostConfig: {
        NetworkMode: spec.networkMode,
        ...(Object.keys(spec.annotations).length === 0 ? {} : { Annotations: spec.annotations }),
      },
      NetworkSettings: { Networks: endpointsOf(container, engine.networks) },
      Mounts: mountPointsOf(spec, (name) => engine.volumes.path(name)),
    };
  };
}

/** The name as the user wrote it, as long as it still means this image; else the image's ID. */
function shownImage(engine: Engine, container: Container, names: Map<string, string>): string {
  const key = `${container.spec.image} ${container.imageId}`;
  const known = names.get(key);
  if (known !== undefined) return known;
  const image = unlessMissing(() => engine.images.image(container.spec.image));
  const shown = image?.id === container.imageId ? container.spec.image : container.imageId;
  names.set(key, shown);
  return shown;
}

function shownCommand([path = "", ...args]: readonly string[]): string {
  return [path, ...args.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" ");
}

/** Docker's sizes: what the container itself holds, and with its image. */
export async function containerSizes(
  engine: Engine,
  container: Container,
): Promise<{ rw: number; rootFs: number }> {
  const rw = await engine.containerSize(container.id);
  const image = unlessMissing(() => engine.images.image(container.imageId));
  return { rw, rootFs: rw + (image?.sizeBytes ?? 0) };
}

async function sizes(
  engine: Engine,
  container: Container,
): Promise<Pick<ContainerSummaryWire, "SizeRw" | "SizeRootFs">> {
  const { rw, rootFs } = await containerSizes(engine, container);
  return { ...(rw === 0 ? {} : { SizeRw: rw }), SizeRootFs: rootFs };
}
