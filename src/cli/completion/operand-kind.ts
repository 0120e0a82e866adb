import type { Flag } from "../flag.ts";

/** What a word stands for: names that the engine knows, files, or one of some words. */
export type Kind =
  | "container"
  | "running"
  | "stopped"
  | "image"
  | "volume"
  | "network"
  | "context"
  | "any"
  /** `CONTAINER:PATH`, or a file here. */
  | "path"
  | "file"
  | "none"
  | { readonly words: readonly string[] };

/** What a word of a usage line stands for. */
const KINDS: readonly (readonly [pattern: RegExp, kind: Kind])[] = [
  [/^NAME\|ID/, "any"],
  [/^(CONTAINER:|SRC_PATH|DEST_PATH)/, "path"],
  [/^CONTAINER/, "container"],
  [/^(IMAGE|SOURCE_IMAGE|TARGET_IMAGE|REPOSITORY)/, "image"],
  [/^VOLUME/, "volume"],
  [/^NETWORK/, "network"],
  [/^CONTEXT/, "context"],
  [/^(file|FILE|PATH|BUNDLE)/, "file"],
];

/** Commands that only make sense for containers that run, or that do not. */
const RUNNING = "attach exec kill pause port stats stop top unpause update".split(" ");
const STOPPED = ["start"];

/**
 * What the operand at `index` stands for, read from the usage line: `[OPTIONS] CONTAINER [CONTAINER...]`, or `bash|zsh|fish`
 * for one of these words.
 */
export function operandKind(verb: string, usage: string, index: number): Kind {
  const words = usage.split(" ").filter((word) => word !== "" && word !== "[OPTIONS]");
  const last = words.at(-1) ?? "";
  const word = words[index] ?? (last.endsWith("...]") ? last : "");
  const name = word.replace(/^\[/, "");
  const kind = KINDS.find(([pattern]) => pattern.test(name))?.[1];
  if (kind === "container" && RUNNING.includes(verb)) return "running";
  if (kind === "container" && STOPPED.includes(verb)) return "stopped";
  if (kind !== undefined) return kind;
  return /^[a-z]+(\|[a-z]+)+$/.test(name) ? { words: name.split("|") } : "none";
}

const SIGNALS = "HUP INT QUIT ABRT KILL USR1 USR2 ALRM TERM CONT STOP TSTP WINCH".split(" ");
const HOST_OR_CONTAINER: Kind = { words: ["host", "container:"] };

/** By name, where neither the flag's type nor its help tells. */
const VALUES: Readonly<Record<string, Kind>> = {
  cidfile: "file",
  context: "context",
  device: "file",
  "env-file": "file",
  format: { words: ["json", "table"] },
  from: "context",
  input: "file",
  ipc: { words: ["host", "none", "private", "shareable", "container:"] },
  "label-file": "file",
  net: "network",
  network: "network",
  output: "file",
  pid: HOST_OR_CONTAINER,
  platform: { words: ["linux/amd64", "linux/arm64"] },
  restart: { words: ["no", "always", "on-failure", "unless-stopped"] },
  root: "file",
  run: "file",
  runtime: { words: ["tiffin", "runc", "crun", "runsc", "kata"] },
  signal: { words: SIGNALS },
  "stop-signal": { words: SIGNALS },
  userns: { words: ["host"] },
  uts: { words: ["host"] },
  volume: "file",
  "volumes-from": "container",
};

/** What a flag's value stands for; the choices that its help lists: `("always", "missing", "never")`, `(host|private)`. */
export function valueKind(flag: Flag): Kind {
  const known = VALUES[flag.name];
  if (known !== undefined) return known;
  const quoted = /\(((?:"[^"]*"(?:, | or |, or )?){2,})\)/.exec(flag.help)?.[1];
  if (quoted !== undefined) {
    return { words: [...quoted.matchAll(/"([^"]*)"/g)].map(([, word = ""]) => word) };
  }
  const piped = /\(([a-z-]+(?:\|[a-z-]+)+)\)/.exec(flag.help)?.[1];
  return piped === undefined ? "none" : { words: piped.split("|") };
}
