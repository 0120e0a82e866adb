import { posix } from "node:path";
import { parseDuration } from "../base/duration.ts";
import { invalidArgument } from "../base/error.ts";
import { dockerfileText, dockerfileWords, jsonForm, type Variables } from "./dockerfile-words.ts";
import type { ImageConfig } from "./image-store.ts";

/** The part of an image configuration that instructions change. */
export type ContainerConfig = ImageConfig["config"];

type Change = (config: ContainerConfig, argument: string) => ContainerConfig;

const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (config, argument) => ({ ...config, Cmd: commandOf(config, argument) }),
  ENTRYPOINT: (config, argument) => ({ ...config, Entrypoint: commandOf(config, argument) }),
  ENV: (config, argument) => ({ ...config, Env: addVariables(config, argument) }),
  EXPOSE: (config, argument) => ({
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...asSet(wordsOf(config, argument).flatMap(ports)) },
  }),
  HEALTHCHECK: (config, argument) => ({ ...config, Healthcheck: healthcheckOf(argument) }),
  LABEL: (config, argument) => ({
    ...config,
    Labels: { ...config.Labels, ...Object.fromEntries(pairsOf("LABEL", config, argument)) },
  }),
  ONBUILD: (config, argument) => ({
    ...config,
    OnBuild: [...(config.OnBuild ?? []), triggerOf(argument)],
  }),
  STOPSIGNAL: (config, argument) => ({
    ...config,
    StopSignal: oneWord("STOPSIGNAL", config, argument),
  }),
  USER: (config, argument) => ({ ...config, User: oneWord("USER", config, argument) }),
  VOLUME: (config, argument) => ({
    ...config,
    Volumes: {
      ...config.Volumes,
      ...asSet((jsonForm(argument) ?? wordsOf(config, argument)).map(volumePath)),
    },
  }),
  WORKDIR: (config, argument) => ({
    ...config,
    WorkingDir: posix.resolve(
      config.WorkingDir ?? "/",
      dockerfileText(argument, variablesOf(config)),
    ),
  }),
};

/**
 * Applies one Dockerfile instruction of those that `--change` takes (`CMD ["sh"]`, `ENV A=b`, `EXPOSE 80`) to a
 * configuration. Source: docker's `import` and `commit` reference, the Dockerfile reference.
 *
 * @throws invalid-argument
 */
export function changeConfig(config: ContainerConfig, instruction: string): ContainerConfig {
  const match = /^\s*(\S+)(?:\s+(.*))?$/s.exec(instruction);
  const name = match?.[1] ?? "";
  const change = Object.hasOwn(CHANGES, name.toUpperCase())
    ? CHANGES[name.toUpperCase()]
    : undefined;
  if (change === undefined) {
    throw invalidArgument(
      `${name} is not a valid change command`,
      `Use one of ${Object.keys(CHANGES).join(", ")}`,
    );
  }
  const argument = (match?.[2] ?? "").trim();
  if (argument === "") {
    throw invalidArgument(`${name.toUpperCase()} requires at least one argument`);
  }
  return change(config, argument);
}

function variablesOf(config: ContainerConfig): Variables {
  return new Map((config.Env ?? []).map(splitPair));
}

function wordsOf(config: ContainerConfig, argument: string): string[] {
  return dockerfileWords(argument, variablesOf(config));
}

function splitPair(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

function commandOf(config: ContainerConfig, argument: string): readonly string[] {
  return jsonForm(argument) ?? [...(config.Shell ?? ["/bin/sh", "-c"]), argument];
}

/** `A=b "c d"=e`, or the old form of one name and the rest of the line as its value. */
function pairsOf(name: string, config: ContainerConfig, argument: string): [string, string][] {
  const first = /^\S+/.exec(argument)?.[0] ?? "";
  if (!first.includes("=")) {
    const value = argument.slice(first.length).trim();
    if (value === "") throw invalidArgument(`${name} must have two arguments`);
    return [[first, dockerfileText(value, variablesOf(config))]];
  }
  return wordsOf(config, argument).map((word) => {
    if (!word.includes("=")) {
      throw invalidArgument(
        `Cannot read ${name}: ${JSON.stringify(word)} has no =, write name=value`,
      );
    }
    const [key, value] = splitPair(word);
    if (key === "") throw invalidArgument(`${name} names can not be blank`);
    return [key, value];
  });
}

function addVariables(config: ContainerConfig, argument: string): string[] {
  const variables = new Map(variablesOf(config));
  for (const [name, value] of pairsOf("ENV", config, argument)) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function asSet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** `80` -> `80/tcp`; `8000-8002/udp` -> three ports. */
function ports(spec: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(spec);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? from);
  if (match === null || from > to || to > 65_535) {
    throw invalidArgument(`invalid containerPort: ${spec}`, "Write PORT[-PORT][/tcp|/udp|/sctp]");
  }
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol}`);
}

function volumePath(path: string): string {
  if (path.trim() === "") throw invalidArgument("VOLUME specified can not be an empty string");
  return path.trim();
}

function oneWord(name: string, config: ContainerConfig, argument: string): string {
  const words = wordsOf(config, argument);
  const word = words[0];
  if (word === undefined || words.length > 1) {
    throw invalidArgument(`${name} requires exactly one argument`);
  }
  return word;
}

function triggerOf(argument: string): string {
  const name = (/^\S+/.exec(argument)?.[0] ?? "").toUpperCase();
  if (name === "ONBUILD") {
    throw invalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` is not allowed");
  }
  if (name === "FROM" || name === "MAINTAINER") {
    throw invalidArgument(`${name} is not allowed as an ONBUILD trigger`);
  }
  return argument;
}

const HEALTHCHECK_TIMES: Readonly<Record<string, string>> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

/** Docker's health check: `Test` as a vector with its kind in front, times in nanoseconds. */
function healthcheckOf(argument: string): object {
  const check: Record<string, unknown> = {};
  let rest = argument;
  for (
    let flag = /^--([a-z-]+)=(\S+)\s*/.exec(rest);
    flag !== null;
    flag = /^--([a-z-]+)=(\S+)\s*/.exec(rest)
  ) {
    setHealthcheckFlag(check, flag[1] ?? "", flag[2] ?? "");
    rest = rest.slice(flag[0].length);
  }
  const kind = /^\S*/.exec(rest)?.[0] ?? "";
  const command = rest.slice(kind.length).trim();
  if (kind.toUpperCase() === "NONE") {
    if (command !== "") throw invalidArgument("HEALTHCHECK NONE takes no arguments");
    return { Test: ["NONE"] };
  }
  if (kind.toUpperCase() !== "CMD") {
    throw invalidArgument(`Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`);
  }
  if (command === "") throw invalidArgument("Missing command after HEALTHCHECK CMD");
  const vector = jsonForm(command);
  return { Test: vector === undefined ? ["CMD-SHELL", command] : ["CMD", ...vector], ...check };
}

function setHealthcheckFlag(check: Record<string, unknown>, flag: string, value: string): void {
  const time = Object.hasOwn(HEALTHCHECK_TIMES, flag) ? HEALTHCHECK_TIMES[flag] : undefined;
  if (time !== undefined) {
    const nanoseconds = parseDuration(value);
    if (nanoseconds < 1_000_000n) {
      throw invalidArgument(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`);
    }
    check[time] = Number(nanoseconds);
  } else if (flag === "retries" && /^\d+$/.test(value)) {
    check["Retries"] = Number(value);
  } else {
    throw invalidArgument(`Cannot read HEALTHCHECK: bad flag --${flag}=${value}`);
  }
}
