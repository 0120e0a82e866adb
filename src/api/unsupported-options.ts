import { invalidArgument, TiffinError } from "../base/error.ts";
import { arePathsUsual } from "../engine/isolation.ts";
import type { JsonObject } from "./json-object.ts";

/** Fields of a create body that the engine has no part for yet, and the command line's option for the message. */
const hostConfigOptions: Readonly<Record<string, string>> = {
  StorageOpt: "--storage-opt",
  Cgroup: "Cgroup",
  KernelMemoryTCP: "KernelMemoryTCP",
};

const configOptions: Readonly<Record<string, string>> = {
  NetworkDisabled: "NetworkDisabled",
};

/**
 * Refuses every option that would have no effect: a create body is never half obeyed.
 * @throws not-implemented, naming the option
 */
export function refuseUnsupported(config: JsonObject, hostConfig: JsonObject): void {
  refuseFields(config, configOptions);
  refuseFields(hostConfig, hostConfigOptions);
  refuseDeviceRequests(hostConfig);
  refuseQualityOfService(hostConfig);
  const isolation = hostConfig.string("Isolation");
  if (isolation !== "" && isolation !== "default") throw unsupported("Isolation", "--isolation");
  // What inspect shows may be sent back.
  if (!arePathsUsual(hostConfig.strings("MaskedPaths"), hostConfig.strings("ReadonlyPaths"))) {
    throw unsupported("MaskedPaths", "ReadonlyPaths", "Leave both lists out");
  }
}

/** `--gpus` and CDI devices need a driver for them; docker without one says the same. */
function refuseDeviceRequests(hostConfig: JsonObject): void {
  const [request] = hostConfig.objects("DeviceRequests");
  if (request === undefined) return;
  const capabilities = request.raw("Capabilities");
  const sets = Array.isArray(capabilities) ? capabilities.filter(Array.isArray) : [];
  const shown = sets.map((set: unknown[]) => `[${set.join(" ")}]`).join(" ");
  throw new TiffinError(
    "not-implemented",
    `could not select device driver ${JSON.stringify(request.string("Driver"))} with capabilities: [${shown}]`,
    { hint: "Pass the device nodes themselves: --device /dev/dri" },
  );
}

/** Windows' options: docker on Linux refuses these two, and passes over the others. */
function refuseQualityOfService(hostConfig: JsonObject): void {
  if (hostConfig.integer("IOMaximumIOps") === 0 && hostConfig.integer("IOMaximumBandwidth") === 0) {
    return;
  }
  throw invalidArgument(
    "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
    "Use --device-read-bps and its sisters",
  );
}

function refuseFields(object: JsonObject, options: Readonly<Record<string, string>>): void {
  for (const [field, option] of Object.entries(options)) {
    if (!isNothing(object.raw(field))) throw unsupported(field, option);
  }
}

/** Zero, "", false, null, and empty lists and objects: what clients send for "not asked for". */
export function isNothing(value: unknown): boolean {
  if (value === null || value === 0 || value === "" || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function unsupported(field: string, option: string, hint = "Leave the option out"): TiffinError {
  const words = field === option ? field : `${field} (${option})`;
  return new TiffinError(
    "not-implemented",
    `Cannot create container: option ${words} is not supported yet`,
    {
      hint,
      details: { option: field },
    },
  );
}
