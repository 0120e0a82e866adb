import { invalidArgument, TiffinError } from "../base/error.ts";
import { type NetworkRate, parseNetworkRate } from "../base/network-rate.ts";
import { parsePortRemoval, type PortsChange } from "../network/port-changes.ts";
import { netRateAnnotation, readRestartPolicy } from "./container-config.ts";
import { readBindings } from "./container-networks.ts";
import { readResources } from "./container-resources.ts";
import type { JsonObject } from "./json-object.ts";
import { json, type JsonReply } from "./reply.ts";
import { type ApiRequest, parameter, readJson } from "./request.ts";
import type { Route } from "./router.ts";
import { isNothing } from "./unsupported-options.ts";

export const containerUpdateRoutes: readonly Route[] = [
  { method: "POST", path: "/containers/{name}/update", handler: updateContainer },
  // Takes published ports as well. A path of its own, so that no other engine passes over them without a word.
  { method: "POST", path: "/tiffin/containers/{name}/update", handler: updateContainer },
];

async function updateContainer(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  refuseFixed(body);
  const pidsLimit = body.integerOrNull("PidsLimit");
  const policy = body.object("RestartPolicy").string("Name");
  const { warnings } = await request.engine.updateContainer(parameter(request, "name"), {
    resources: {
      ...readResources(body),
      // Zero lifts the limit, as docker's; null leaves it.
      ...(pidsLimit === null ? {} : { pidsLimit: pidsLimit > 0 ? pidsLimit : -1 }),
    },
    ...readNetRate(body),
    ...(policy === "" ? {} : { restartPolicy: readRestartPolicy(body) }),
    ...(request.path.startsWith("/tiffin/") ? { ports: readPortsChange(body) } : {}),
  });
  return json({ Warnings: warnings });
}

function readPortsChange(body: JsonObject): PortsChange {
  return {
    add: readBindings(body.objectOrNull("PublishAdd")),
    remove: body.strings("PublishRemove").map(parsePortRemoval),
  };
}

/** Ours: the one annotation that can be changed. */
function readNetRate(body: JsonObject): { networkRate?: NetworkRate | null } {
  const { [netRateAnnotation]: rate, ...others } = body.stringMap("Annotations");
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw invalidArgument(`Cannot update container: the annotation ${other} cannot be changed`);
  }
  return rate === undefined ? {} : { networkRate: parseNetworkRate(rate) };
}

/** What docker's body may name and nobody can change while a container is there. */
const FIXED = [
  "CgroupParent",
  "Devices",
  "DeviceCgroupRules",
  "DeviceRequests",
  "KernelMemory",
  "KernelMemoryTCP",
  "OomKillDisable",
  "Ulimits",
];

function refuseFixed(body: JsonObject): void {
  for (const name of FIXED) {
    if (isNothing(body.raw(name))) continue;
    throw new TiffinError("not-implemented", `Cannot update container: ${name} cannot be changed`, {
      hint: "Make the container anew, with tiffin clone for example",
    });
  }
}
