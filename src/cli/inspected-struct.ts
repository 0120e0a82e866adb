import { toJson } from "./go-template/json.ts";
import { GoMap, GoStruct, NIL_SLICE, NilPointer, type Value } from "./go-template/value.ts";

const nil = (type: string): NilPointer => new NilPointer(type);
const nilMap = (zero: Value = ""): GoMap => new GoMap("map[string]string", zero);

/**
 * What docker's types have and the API leaves out when it is empty, by the name of the object's field ("" is the whole).
 * Templates such as `{{if .State.Health}}` count on these.
 */
const LEFT_OUT: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  "": { SizeRw: nil("*int64"), SizeRootFs: nil("*int64") },
  State: { Health: nil("*container.Health") },
  Config: {
    ExposedPorts: nilMap({}),
    ArgsEscaped: false,
    Healthcheck: nil("*v1.HealthcheckConfig"),
    NetworkDisabled: false,
    MacAddress: "",
    StopSignal: "",
    StopTimeout: nil("*int"),
    Shell: [],
  },
  HostConfig: {
    Annotations: nilMap(),
    Init: nil("*bool"),
    KernelMemory: 0,
    KernelMemoryTCP: 0,
    Mounts: [],
    Runtime: "",
    StorageOpt: nilMap(),
    Sysctls: nilMap(),
    Tmpfs: nilMap(),
  },
};

/** Docker's order of a mount's fields, some of which the API leaves out. */
const MOUNT_FIELDS = {
  Type: "",
  Name: "",
  Source: "",
  Destination: "",
  Driver: "",
  Mode: "",
  RW: false,
  Propagation: "",
};

/** Objects that are maps and not structs, and the zero value of their entries. */
const MAPS: Readonly<Record<string, Value>> = {
  Annotations: "",
  Data: "",
  DriverOpts: "",
  ExposedPorts: {},
  Labels: "",
  Networks: nil("*network.EndpointSettings"),
  Options: "",
  PortBindings: [],
  Ports: [],
  StorageOpt: "",
  Sysctls: "",
  Tmpfs: "",
  Volumes: {},
};

/** Fields whose null is a nil pointer; that of the others is a nil slice. */
const POINTERS = new Set([
  "IPAMConfig",
  "MemorySwappiness",
  "OomKillDisable",
  "PidsLimit",
  "Init",
  "StopTimeout",
]);

function nullOf(name: string): Value {
  if (name in MAPS) return nilMap(MAPS[name]);
  return POINTERS.has(name) ? nil(`*${name}`) : NIL_SLICE;
}

/**
 * What `inspect` got as docker's types show it to templates: objects are structs with known fields, so that a field that
 * is not there is an error, and one that the API left out has its zero value.
 */
export function inspectedStruct(value: Value, name: string = "", within: string = ""): Value {
  if (Array.isArray(value)) {
    return value.map((item: Value) =>
      inspectedStruct(item, name === "Mounts" && within === "" ? "MountPoint" : name, within),
    );
  }
  if (value === null) return nullOf(name);
  if (typeof value !== "object" || value === undefined) return value;
  const isMap = name in MAPS || (name === "Config" && within === "LogConfig");
  const entries = Object.entries(value).map(([key, inner]): [string, Value] => [
    key,
    // The entries of a map are named by users: their names say nothing about their types.
    inspectedStruct(inner, isMap ? `${name} entry` : key, name),
  ]);
  const fields = Object.fromEntries(entries);
  if (isMap) return new GoMap("map[string]string", MAPS[name] ?? "", fields);
  const before = name === "MountPoint" ? MOUNT_FIELDS : {};
  const type = `types.${name}`;
  return new GoStruct(type, {
    ...before,
    ...fields,
    ...without(LEFT_OUT[name] ?? {}, fields),
    // What the API leaves out is not in the JSON either.
    MarshalJSON: () => toJson(new GoStruct(type, fields)),
  });
}

function without(
  more: Readonly<Record<string, Value>>,
  fields: Readonly<Record<string, Value>>,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(more).filter(([key]) => !Object.hasOwn(fields, key)));
}
