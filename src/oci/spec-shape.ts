import { invalidArgument } from "../base/error.ts";

/**
 * The types of what config.json may hold, as data: a name of a type (with `!`: must be there), a list of one shape, an
 * object by its fields, or `{ "*": shape }` for an object whose keys are names. Fields that are not mentioned are passed
 * over, as the specification asks of unknown properties.
 */
type Shape =
  | "string"
  | "string!"
  | "boolean"
  | "integer"
  | "integer!"
  | "object"
  | Fields
  | [Shape];
interface Fields {
  readonly [field: string]: Shape;
}

const ID_MAPPINGS: Shape = [{ containerID: "integer!", hostID: "integer!", size: "integer!" }];
const HOOKS: Shape = [{ path: "string!", args: ["string"], env: ["string"], timeout: "integer" }];
const RATES: Shape = [{ major: "integer!", minor: "integer!", rate: "integer!" }];

export const PROCESS_SHAPE: Fields = {
  terminal: "boolean",
  consoleSize: { height: "integer!", width: "integer!" },
  cwd: "string!",
  env: ["string"],
  args: ["string"],
  user: { uid: "integer", gid: "integer", umask: "integer", additionalGids: ["integer"] },
  rlimits: [{ type: "string!", soft: "integer!", hard: "integer!" }],
  apparmorProfile: "string",
  selinuxLabel: "string",
  capabilities: {
    bounding: ["string"],
    effective: ["string"],
    permitted: ["string"],
    inheritable: ["string"],
    ambient: ["string"],
  },
  noNewPrivileges: "boolean",
  oomScoreAdj: "integer",
  scheduler: {
    policy: "string!",
    nice: "integer",
    priority: "integer",
    flags: ["string"],
    runtime: "integer",
    deadline: "integer",
    period: "integer",
  },
  ioPriority: { class: "string!", priority: "integer" },
  execCPUAffinity: { initial: "string", final: "string" },
};

export const RESOURCES_SHAPE: Fields = {
  devices: [
    { allow: "boolean", type: "string", major: "integer", minor: "integer", access: "string" },
  ],
  memory: {
    limit: "integer",
    reservation: "integer",
    swap: "integer",
    kernel: "integer",
    kernelTCP: "integer",
    swappiness: "integer",
    disableOOMKiller: "boolean",
    useHierarchy: "boolean",
    checkBeforeUpdate: "boolean",
  },
  cpu: {
    shares: "integer",
    quota: "integer",
    burst: "integer",
    period: "integer",
    realtimeRuntime: "integer",
    realtimePeriod: "integer",
    cpus: "string",
    mems: "string",
    idle: "integer",
  },
  pids: { limit: "integer" },
  blockIO: {
    weight: "integer",
    leafWeight: "integer",
    weightDevice: [
      { major: "integer!", minor: "integer!", weight: "integer", leafWeight: "integer" },
    ],
    throttleReadBpsDevice: RATES,
    throttleWriteBpsDevice: RATES,
    throttleReadIOPSDevice: RATES,
    throttleWriteIOPSDevice: RATES,
  },
  hugepageLimits: [{ pageSize: "string!", limit: "integer!" }],
  network: { classID: "integer", priorities: [{ name: "string!", priority: "integer!" }] },
  rdma: { "*": { hcaHandles: "integer", hcaObjects: "integer" } },
  unified: { "*": "string" },
};

export const SPEC_SHAPE: Fields = {
  ociVersion: "string!",
  root: { path: "string!", readonly: "boolean" },
  mounts: [
    {
      destination: "string!",
      source: "string",
      type: "string",
      options: ["string"],
      uidMappings: ID_MAPPINGS,
      gidMappings: ID_MAPPINGS,
    },
  ],
  process: PROCESS_SHAPE,
  hostname: "string",
  domainname: "string",
  hooks: {
    prestart: HOOKS,
    createRuntime: HOOKS,
    createContainer: HOOKS,
    startContainer: HOOKS,
    poststart: HOOKS,
    poststop: HOOKS,
  },
  annotations: { "*": "string" },
  linux: {
    namespaces: [{ type: "string!", path: "string" }],
    uidMappings: ID_MAPPINGS,
    gidMappings: ID_MAPPINGS,
    timeOffsets: { "*": { secs: "integer", nanosecs: "integer" } },
    devices: [
      {
        type: "string!",
        path: "string!",
        major: "integer",
        minor: "integer",
        fileMode: "integer",
        uid: "integer",
        gid: "integer",
      },
    ],
    netDevices: { "*": { name: "string" } },
    cgroupsPath: "string",
    resources: RESOURCES_SHAPE,
    sysctl: { "*": "string" },
    seccomp: {
      defaultAction: "string!",
      defaultErrnoRet: "integer",
      architectures: ["string"],
      flags: ["string"],
      listenerPath: "string",
      listenerMetadata: "string",
      syscalls: ["object"],
    },
    rootfsPropagation: "string",
    maskedPaths: ["string"],
    readonlyPaths: ["string"],
    mountLabel: "string",
    personality: { domain: "string!", flags: ["string"] },
    intelRdt: "object",
    memoryPolicy: { mode: "string!", nodes: "string", flags: ["string"] },
  },
};

/** @throws invalid-argument that names the place and what it should be; `where` is "" for the whole */
export function checkShape(value: unknown, shape: Shape, where: string): void {
  if (typeof shape === "string") {
    checkType(value, shape.replace("!", ""), where);
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value)) throw wrongType(where, "a list");
    const [entry] = shape;
    value.forEach((item, index) => checkShape(item, entry, `${where}[${index}]`));
  } else {
    checkType(value, "object", where);
    checkFields(value as Readonly<Record<string, unknown>>, shape, where);
  }
}

function checkFields(value: Readonly<Record<string, unknown>>, shape: Fields, where: string): void {
  const any = shape["*"];
  if (any !== undefined) {
    for (const [key, item] of Object.entries(value)) checkShape(item, any, `${where}["${key}"]`);
    return;
  }
  for (const [field, wanted] of Object.entries(shape)) {
    const item = value[field];
    const place = where === "" ? field : `${where}.${field}`;
    // Go's encoder writes null for what is empty.
    if (item !== undefined && item !== null) checkShape(item, wanted, place);
    else if (typeof wanted === "string" && wanted.endsWith("!")) {
      throw invalidArgument(`Cannot use the configuration: ${place} is missing`);
    }
  }
}

function checkType(value: unknown, type: string, where: string): void {
  if (type === "integer") {
    if (typeof value === "bigint" || Number.isInteger(value)) return;
    throw wrongType(where, "a whole number");
  }
  if (type === "object") {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
    throw wrongType(where, "an object");
  }
  if (typeof value === type) return;
  throw wrongType(where, type === "string" ? "a text" : "true or false");
}

function wrongType(where: string, wanted: string): Error {
  return invalidArgument(
    `Cannot use the configuration: ${where === "" ? "it" : where} is not ${wanted}`,
  );
}
