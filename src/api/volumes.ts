import { invalidArgument, TiffinError } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import { ANONYMOUS_LABEL, LOCAL_DRIVER, type Volume } from "../volumes/index.ts";
import { isAtLeast } from "./api-version.ts";
import { type Filters, invalidFilter, parseFilters } from "./filters.ts";
import { empty, json } from "./reply.ts";
import type { EmptyReply, JsonReply } from "./reply.ts";
import { type ApiRequest, parameter, queryFlag, readJson } from "./request.ts";
import type { Route } from "./router.ts";
import type { VolumeWire } from "./wire.ts";

export const volumeRoutes: readonly Route[] = [
  { method: "GET", path: "/volumes", handler: listVolumes },
  { method: "POST", path: "/volumes/create", handler: createVolume },
  { method: "POST", path: "/volumes/prune", handler: pruneVolumes },
  { method: "GET", path: "/volumes/{name}", handler: inspectVolume },
  { method: "PUT", path: "/volumes/{name}", handler: updateVolume },
  { method: "DELETE", path: "/volumes/{name}", handler: removeVolume },
  { method: "GET", path: "/tiffin/volumes/prune", handler: pruneVolumes },
];

function listVolumes({ engine, query }: ApiRequest): JsonReply {
  const filters = parseFilters(query.get("filters"), ["dangling", "driver", "label", "name"]);
  const dangling = filters.flag("dangling");
  const shown = engine.volumes
    .all()
    .filter(
      ({ name, labels }) =>
        filters.exact("driver", LOCAL_DRIVER) &&
        filters.pattern("name", name) &&
        filters.labels("label", labels) &&
        (dangling === undefined || (engine.volumes.users(name).length === 0) === dangling),
    );
  return json({ Volumes: shown.map((volume) => formatVolume(engine, volume)), Warnings: null });
}

async function createVolume(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  if (body.objectOrNull("ClusterVolumeSpec") !== null && isAtLeast(request.version, 1, 42)) {
    throw noCluster(
      'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  }
  const volume = await request.engine.volumes.create({
    name: body.string("Name"),
    driver: body.string("Driver"),
    labels: body.stringMap("Labels"),
    options: body.stringMap("DriverOpts"),
  });
  return json(formatVolume(request.engine, volume), 201);
}

function inspectVolume(request: ApiRequest): JsonReply {
  const { engine } = request;
  return json(formatVolume(engine, engine.volumes.find(parameter(request, "name"))));
}

/** docker's is for volumes of a swarm alone. */
function updateVolume(): never {
  throw new TiffinError(
    "unavailable",
    "volume update only valid for cluster volumes, but swarm is unavailable",
    { hint: "Tiffin has no swarm mode" },
  );
}

function noCluster(more: string): TiffinError {
  return new TiffinError("unavailable", `This node is not a swarm manager. ${more}`, {
    hint: "Tiffin has no swarm mode",
  });
}

async function removeVolume(request: ApiRequest): Promise<EmptyReply> {
  const force = queryFlag(request, "force");
  await request.engine.volumes.remove(parameter(request, "name"), { force });
  return empty();
}

/** `POST /volumes/prune`, and our GET, which removes nothing and says what would go. */
async function pruneVolumes(request: ApiRequest): Promise<JsonReply> {
  const { engine, method, query, version } = request;
  const filters = parseFilters(query.get("filters"), ["all", "label", "label!"]);
  // Until 1.41 a prune was about all volumes.
  const isAll = readAll(filters) || !isAtLeast(version, 1, 42);
  const { removed, reclaimedBytes } = await engine.volumes.prune(
    ({ labels }) =>
      (isAll || Object.hasOwn(labels, ANONYMOUS_LABEL)) &&
      filters.labels("label", labels) &&
      filters.withoutLabels("label!", labels),
    { dryRun: method === "GET" },
  );
  return json({ VolumesDeleted: removed, SpaceReclaimed: reclaimedBytes });
}

function readAll(filters: Filters): boolean {
  const values = filters.values("all");
  if (values.length > 1) {
    throw invalidArgument(`invalid filter 'all=[${values.join(" ")}]': only one value is expected`);
  }
  const isKnown = values.every((value) =>
    ["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"].includes(
      value,
    ),
  );
  if (!isKnown) throw invalidFilter("all");
  return filters.flag("all") === true;
}

/** docker's shape; usage stands in `system df` alone. */
export function formatVolume(engine: Engine, volume: Volume): VolumeWire {
  const { name, labels, options, createdAt } = volume;
  return {
    CreatedAt: `${createdAt.slice(0, 19)}Z`,
    Driver: LOCAL_DRIVER,
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: engine.volumes.path(name),
    Name: name,
    Options: Object.keys(options).length === 0 ? null : options,
    Scope: "local",
  };
}

/** The volumes of `system df`: those without options, since what others hold is elsewhere, each with its size and users. */
export async function volumesWithUsage(engine: Engine): Promise<VolumeWire[]> {
  const plain = engine.volumes.all().filter(({ options }) => Object.keys(options).length === 0);
  const rows: VolumeWire[] = [];
  for (const volume of plain) {
    rows.push({
      ...formatVolume(engine, volume),
      UsageData: {
        RefCount: engine.volumes.users(volume.name).length,
        Size: await engine.volumes.size(volume.name),
      },
    });
  }
  return rows;
}
