import { ERRNO } from "../../base/errno.ts";
import { type TiffinError, invalidArgument, messageOf } from "../../base/error.ts";
import { CAPABILITY_NAMES, type CapabilityName } from "../capabilities.ts";
import {
  type ArgumentTest,
  type Condition,
  RETURN,
  type SeccompProfile,
  type SeccompRule,
} from "./profile.ts";

type Json = Readonly<Record<string, unknown>>;

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

const OPERATORS: Readonly<Record<string, ArgumentTest["op"]>> = {
  SCMP_CMP_NE: "ne",
  SCMP_CMP_LT: "lt",
  SCMP_CMP_LE: "le",
  SCMP_CMP_EQ: "eq",
  SCMP_CMP_GE: "ge",
  SCMP_CMP_GT: "gt",
};

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: RETURN.KILL_THREAD,
  SCMP_ACT_KILL_THREAD: RETURN.KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: RETURN.KILL_PROCESS,
  SCMP_ACT_TRAP: RETURN.TRAP,
  SCMP_ACT_ERRNO: RETURN.ERRNO,
  SCMP_ACT_TRACE: RETURN.TRACE,
  SCMP_ACT_LOG: RETURN.LOG,
  SCMP_ACT_NOTIFY: RETURN.USER_NOTIFY,
  SCMP_ACT_ALLOW: RETURN.ALLOW,
};

/**
 * Reads a seccomp profile in docker's JSON format (https://docs.docker.com/engine/security/seccomp): runtime-spec's
 * `linux.seccomp` with `archMap`, `includes` and `excludes`. Sub-architectures are read and passed over: only the
 * native one is ever allowed (see compile.ts).
 *
 * @throws invalid-argument that says where the text is wrong
 */
export function parseDockerProfile(text: string): SeccompProfile {
  let json: unknown;
  try {
    json = JSON.parse(text, exactNumbers);
  } catch (error) {
    throw wrong(`it is no JSON: ${messageOf(error)}`);
  }
  return readProfile(json);
}

/** As {@link parseDockerProfile}, of what was read already (with bigint for numbers beyond 2^53). */
export function readProfile(json: unknown): SeccompProfile {
  const profile = object(json, "the profile");
  if (profile["architectures"] !== undefined && profile["archMap"] !== undefined) {
    throw wrong(`both "architectures" and "archMap" are there; use one`);
  }
  const flags = list(profile["flags"], "flags");
  return {
    defaultAction: action(profile["defaultAction"], profile["defaultErrnoRet"], "defaultAction"),
    log: flags.includes("SECCOMP_FILTER_FLAG_LOG"),
    rules: list(profile["syscalls"], "syscalls").map((entry, index) =>
      parseRule(object(entry, `syscalls[${index}]`), `syscalls[${index}]`),
    ),
  };
}

/** Numbers beyond 2^53 keep their digits: they come as bigint. */
function exactNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^\d+$/.test(context.source)
    ? BigInt(context.source)
    : value;
}

function parseRule(rule: Json, where: string): SeccompRule {
  const single = rule["name"];
  const names = list(rule["names"], `${where}.names`);
  if (typeof single === "string" && single !== "") {
    if (names.length > 0) throw wrong(`${where} has both "name" and "names"; use one`);
    names.push(single);
  }
  if (!names.every((name) => typeof name === "string")) {
    throw wrong(`${where}.names holds something else than names`);
  }
  return {
    names,
    action: action(rule["action"], rule["errnoRet"], `${where}.action`),
    tests: list(rule["args"], `${where}.args`).map((entry, index) =>
      parseTest(object(entry, `${where}.args[${index}]`), `${where}.args[${index}]`),
    ),
    ...(rule["includes"] !== undefined && {
      includes: condition(rule["includes"], `${where}.includes`),
    }),
    ...(rule["excludes"] !== undefined && {
      excludes: condition(rule["excludes"], `${where}.excludes`),
    }),
  };
}

function parseTest(test: Json, where: string): ArgumentTest {
  const index = test["index"];
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > 5) {
    throw wrong(`${where}.index is no number from 0 to 5`);
  }
  const value = word(test["value"], `${where}.value`);
  if (test["op"] === "SCMP_CMP_MASKED_EQ") {
    return { index, op: "eq", value: word(test["valueTwo"], `${where}.valueTwo`), mask: value };
  }
  const op = OPERATORS[String(test["op"])];
  if (op === undefined) throw wrong(`${where}.op ${JSON.stringify(test["op"])} is unknown`);
  return { index, op, value, mask: ALL_BITS };
}

function action(name: unknown, errno: unknown, where: string): number {
  const kind = ACTIONS[String(name)];
  if (kind === undefined) throw wrong(`${where} ${JSON.stringify(name)} is unknown`);
  if (kind !== RETURN.ERRNO && kind !== RETURN.TRACE) return kind;
  const data = errno ?? ERRNO.EPERM;
  if (typeof data !== "number" || !Number.isInteger(data) || data < 0 || data > 0xffff) {
    throw wrong(`${where} has ${JSON.stringify(data)} as its error number`);
  }
  return kind | data;
}

function condition(value: unknown, where: string): Condition {
  const entry = object(value, where);
  const capabilities = list(entry["caps"], `${where}.caps`).map((name) => {
    if (!CAPABILITY_NAMES.includes(name as CapabilityName)) {
      throw wrong(`${where}.caps names ${JSON.stringify(name)}, which is no capability`);
    }
    return name as CapabilityName;
  });
  const architectures = list(entry["arches"], `${where}.arches`).map(String);
  const kernel = entry["minKernel"];
  if (kernel === undefined || kernel === "") return { capabilities, architectures };
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(typeof kernel === "string" ? kernel : "") ?? [];
  if (major === undefined || minor === undefined) {
    throw wrong(`${where}.minKernel ${JSON.stringify(kernel)} is not of the form 4.8`);
  }
  return { capabilities, architectures, minimumKernel: [Number(major), Number(minor)] };
}

function object(value: unknown, where: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(`${where} is no object`);
  }
  return value as Json;
}

function list(value: unknown, where: string): unknown[] & string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(`${where} is no list`);
  return [...(value as string[])];
}

function word(value: unknown, where: string): bigint {
  if (value === undefined) return 0n;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) {
    const bits = BigInt(value);
    if (bits >= 0n && bits <= ALL_BITS) return bits;
  }
  throw wrong(`${where} is no number of 64 bits`);
}

function wrong(what: string): TiffinError {
  return invalidArgument(
    `Cannot use the seccomp profile: ${what}`,
    "See https://docs.docker.com/engine/security/seccomp for the format, or leave the option out",
  );
}
