/** The rules of the house that no general linter knows, as data with their reasons. */

export interface SourceFile {
  /** Relative to the project's root. */
  readonly path: string;
  readonly text: string;
}

interface ForbiddenCall {
  readonly pattern: RegExp;
  /** Paths in which the rule holds. */
  readonly where: RegExp;
  /** Paths in which the call is right. */
  readonly except?: RegExp;
  readonly reason: string;
}

const testFile = /\.test\.ts$/;

export const forbiddenCalls: readonly ForbiddenCall[] = [
  {
    pattern: /["']node:child_process["']|\bBun\.spawn(Sync)?\(|\bBun\.\$`/,
    where: /^src\//,
    except: /^src\/cli\/|\.test\.ts$/,
    reason:
      "the engine runs no programs: forking a big process is slow, and what it needs is a system call (launch/)",
  },
  {
    pattern: /from ["'](node:)?fs(\/promises)?["']/,
    where: /^src\/layers\/unpack[^/]*\.ts$/,
    except: testFile,
    reason:
      "an archive chooses these paths, and a link in one leads out of the layer: openat2 under a descriptor only",
  },
  {
    pattern: /sys\.node["']|process\.dlopen\(/,
    where: /^src\//,
    except: /^src\/kernel\//,
    reason: "kernel/ is the only room that loads the addon",
  },
  {
    pattern: /["']bun:sqlite["']/,
    where: /^src\//,
    except: /^src\/base\/database\.ts$/,
    reason: "base/database.ts is the one module that knows which SQLite binding there is",
  },
  {
    pattern: /["']bun:ffi["']/,
    where: /^(src|test|bench|scripts)\//,
    reason:
      "it is slower than the addon, has no calls off the main thread and is lost in the release build",
  },
  {
    pattern: /new (net\.)?Socket\(\{\s*fd\b/,
    where: /^src\//,
    reason:
      "Bun 1.4 cannot write to it: net.connect({ fd }) for sockets, fs.createReadStream for pipes",
  },
  {
    pattern: /\bthrow new (Error|TypeError|RangeError)\(|\bthrow ["'`]/,
    where: /^src\//,
    // The checks of the command line throw a bare reason, which the command that asked puts into its message.
    except: /^src\/cli\/|\.test\.ts$/,
    reason: "there is one error type, TiffinError, with a code that a client can act on",
  },
  {
    pattern: /\bcreateHash\(["'](md5|sha1)["']\)/,
    where: /^src\//,
    // The websocket protocol prescribes it.
    except: /^src\/api\/websocket\.ts$/,
    reason: "content is named by sha256 (or longer) only",
  },
];

/** Most lines of C that may run as root: native/ without the program of the built-in image. */
export const nativeLineBudget = 1000;

/** Calls that the rules forbid: `src/x.ts:12: "node:child_process": reason`. */
export function forbiddenCallFindings(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    forbiddenCalls
      .filter((rule) => rule.where.test(path) && !rule.except?.test(path))
      .flatMap((rule) =>
        matches(text, rule.pattern).map(
          ({ line, found }) => `${path}:${line}: ${found}: ${rule.reason}`,
        ),
      ),
  );
}

const errorText =
  /(?:new TiffinError\(\s*"[a-z-]+",\s*|\binvalidArgument\(\s*)(["'`])((?:\\.|(?!\1).)*)\1/g;
const contraction = /\b(can't|won't|doesn't|didn't|isn't|aren't|couldn't|don't|wasn't)\b/i;

/** Rooms that speak docker's own words where its clients know a message by them. */
const dockersWords = /^src\/(api|cli|engine)\//;

/** Error messages with a final period or a contraction: `src/x.ts:12: message "…": what is wrong`. */
export function messageFindings(files: readonly SourceFile[]): string[] {
  return files
    .filter(
      ({ path }) => path.startsWith("src/") && !testFile.test(path) && !dockersWords.test(path),
    )
    .flatMap(({ path, text }) =>
      [...text.matchAll(errorText)].flatMap((match) => {
        const message = match[2] ?? "";
        const at = `${path}:${lineOf(text, match.index)}: message "${message.slice(0, 60)}"`;
        const wrong: string[] = [];
        if (/[.!]$/.test(message) && !message.endsWith("...")) wrong.push("ends with a period");
        if (contraction.test(message)) wrong.push("holds a contraction");
        return wrong.map((what) => `${at}: ${what}`);
      }),
    );
}

/** Too much C. The program of the built-in image and what is built are not counted. */
export function nativeBudgetFindings(files: readonly SourceFile[]): string[] {
  const native = files.filter(({ path }) => /^native\/[^/]+\.[ch]$/.test(path));
  const lines = native.map(({ path, text }) => ({ path, count: text.split("\n").length - 1 }));
  const total = lines.reduce((sum, { count }) => sum + count, 0);
  if (total <= nativeLineBudget) return [];
  const each = lines.map(({ path, count }) => `${path} ${count}`).join(", ");
  return [`native: ${total} lines of C, at most ${nativeLineBudget}: ${each}`];
}

/** A lockfile that names a registry's host binds everyone to that registry. */
export function lockfileFindings(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => path === "package-lock.json" || path === ".npmrc")
    .flatMap(({ path, text }) =>
      matches(text, /"resolved":\s*"https?:[^"]*"|^\s*(@[\w-]+:)?registry\s*=.*/m).map(
        ({ line, found }) => `${path}:${line}: names a registry (${found.slice(0, 60)})`,
      ),
    );
}

const vagueNames = /(^|\/)(utils?|helpers?|common|misc|manager)(\.test)?\.(ts|mjs|c|h)$/;

/** Files whose name says nothing. */
export function nameFindings(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => vagueNames.test(path))
    .map(({ path }) => `${path}: the name says nothing: name it after what it does`);
}

export function allFindings(files: readonly SourceFile[]): string[] {
  return [
    ...forbiddenCallFindings(files),
    ...messageFindings(files),
    ...nativeBudgetFindings(files),
    ...lockfileFindings(files),
    ...nameFindings(files),
  ];
}

function matches(text: string, pattern: RegExp): { line: number; found: string }[] {
  const all = new RegExp(pattern.source, `${pattern.flags.replace("g", "")}g`);
  return [...text.matchAll(all)]
    .filter((match) => !isComment(text, match.index))
    .map((match) => ({ line: lineOf(text, match.index), found: match[0].trim() }));
}

function isComment(text: string, index: number): boolean {
  const start = text.lastIndexOf("\n", index) + 1;
  return /^\s*(\/\/|\*|\/\*)/.test(text.slice(start, index));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
