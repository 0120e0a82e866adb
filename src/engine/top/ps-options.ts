import { invalidArgument, type TiffinError } from "../../base/error.ts";
import { PS_COLUMNS, type PsColumn } from "./ps-columns.ts";

/** ps's own sets of columns, by the option that chooses them; `user:UID` has a title of its own. */
const SETS = {
  plain: "pid tname time ucmd",
  full: "user:UID pid ppid c stime tname time cmd",
  extraFull: "user:UID pid ppid c sz rss psr stime tname time cmd",
  long: "f s uid pid ppid c opri ni addr sz wchan tname time ucmd",
  longFull: "f s user:UID pid ppid c opri ni addr sz wchan stime tname time cmd",
  jobs: "pid pgid sid tname time ucmd",
  bsd: "pid tname stat bsdtime args",
  bsdUser: "user pid %cpu %mem vsz rss tname stat start_time:START bsdtime args",
  bsdLong: "f uid pid ppid pri ni vsz rss wchan stat tname bsdtime args",
} as const;

type SetName = keyof typeof SETS;

/** Which processes: all of the container's, unless options say which. */
export interface PsRequest {
  readonly columns: readonly PsColumn[];
  /** `-C`: names of programs. */
  readonly names: readonly string[];
  /** `-p`. */
  readonly pids: readonly number[];
}

/**
 * The options of ps(1) as `docker top` takes them: UNIX options (`-ef`, `-eo pid,cmd`, `-o user=WHO`) and BSD ones (`aux`). It
 * is always about the container's processes; options that choose among all of the machine's say nothing.
 * @throws invalid-argument for what is not known
 */
export function readPsOptions(text: string): PsRequest {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const reader = new PsReader(words);
  reader.read();
  return reader.request();
}

class PsReader {
  readonly #words: string[];
  readonly #letters = new Set<string>();
  readonly #bsd = new Set<string>();
  readonly #columns: PsColumn[] = [];
  readonly #names: string[] = [];
  readonly #pids: number[] = [];

  constructor(words: readonly string[]) {
    this.#words = [...words];
  }

  read(): void {
    for (let word = this.#words.shift(); word !== undefined; word = this.#words.shift()) {
      if (word.startsWith("--")) this.#readLong(word);
      else if (word.startsWith("-")) this.#readLetters(word.slice(1), false);
      else if (/^[\d,]+$/.test(word)) this.#addPids(word);
      else this.#readLetters(word, true);
    }
  }

  request(): PsRequest {
    const named = SETS[this.#set()].split(" ").map(setColumn);
    const columns = this.#columns.length > 0 ? this.#columns : named;
    if (!columns.some(({ title }) => title === "PID")) {
      throw invalidArgument("Couldn't find PID field in ps output", "Add pid: -o pid,…");
    }
    return { columns, names: this.#names, pids: this.#pids };
  }

  #set(): SetName {
    if (this.#bsd.has("u")) return "bsdUser";
    if (this.#bsd.has("l")) return "bsdLong";
    if (this.#letters.has("l")) return this.#letters.has("f") ? "longFull" : "long";
    if (this.#letters.has("F")) return "extraFull";
    if (this.#letters.has("f")) return "full";
    if (this.#letters.has("j")) return "jobs";
    return this.#bsd.size > 0 ? "bsd" : "plain";
  }

  #readLong(word: string): void {
    const [, name = "", joined] = /^--([a-z-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === "format") this.#addColumns(joined ?? this.#next(word));
    else if (name === "pid") this.#addPids(joined ?? this.#next(word));
    else throw unknown(`unknown gnu long option "${word}"`);
  }

  #readLetters(letters: string, isBsd: boolean): void {
    for (let index = 0; index < letters.length; index += 1) {
      const letter = letters[index] ?? "";
      const rest = letters.slice(index + 1);
      if (letter === "o" || letter === "O") return this.#addColumns(rest || this.#next(letter));
      if (letter === "C" && !isBsd) {
        this.#names.push(...(rest || this.#next(letter)).split(","));
        return;
      }
      if (letter === "p" || letter === "q") return this.#addPids(rest || this.#next(letter));
      const known = isBsd ? "aefgluwxr" : "AadefFjlwy";
      if (!known.includes(letter)) {
        throw unknown(`unsupported ${isBsd ? "BSD " : ""}option "${letter}"`);
      }
      (isBsd ? this.#bsd : this.#letters).add(letter);
    }
  }

  #next(option: string): string {
    const word = this.#words.shift();
    if (word === undefined) throw unknown(`option "${option}" needs an argument`);
    return word;
  }

  /** `pid,user=WHO,cmd`: a title takes all that follows it. */
  #addColumns(list: string): void {
    const equals = list.indexOf("=");
    const names = (equals < 0 ? list : list.slice(0, equals)).split(/[, ]/).filter(Boolean);
    const own = equals < 0 ? undefined : list.slice(equals + 1);
    for (const [index, name] of names.entries()) {
      const column = Object.hasOwn(PS_COLUMNS, name) ? PS_COLUMNS[name] : undefined;
      if (column === undefined) throw unknown(`unknown user-defined format specifier "${name}"`);
      const isTitled = own !== undefined && index === names.length - 1;
      if (isTitled && own.startsWith("PID") && name !== "pid") {
        throw invalidArgument(`specifying "${name}=${own}" is not allowed`);
      }
      this.#columns.push(isTitled ? { ...column, title: own } : column);
    }
  }

  #addPids(list: string): void {
    const pids = list.split(",").filter(Boolean).map(Number);
    if (pids.some((pid) => !Number.isSafeInteger(pid)))
      throw unknown("process ID list syntax error");
    this.#pids.push(...pids);
  }
}

function setColumn(word: string): PsColumn {
  const [name = "", title] = word.split(":");
  const column = PS_COLUMNS[name] ?? { title: name, cell: () => "-" };
  return title === undefined ? column : { ...column, title };
}

function unknown(what: string): TiffinError {
  return invalidArgument(
    `ps: error: ${what}`,
    "Known are -e -f -F -l -j, aux, -o LIST, -C NAME and -p PID: the engine reads /proc itself",
  );
}
