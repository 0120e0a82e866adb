import { humanSize } from "../base/size.ts";
import type { Context } from "./command.ts";
import { describe, failure } from "./failure.ts";

interface Message {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string; readonly hint?: string };
}

/** Progress of a layer is told so often at most, where nothing can be written over. */
const BAR_WIDTH = 50;

/** Shows docker's stream of JSON messages: text, and on a terminal a line of its own for each layer. @throws its error */
export async function showProgress(
  context: Context,
  body: AsyncIterable<Uint8Array>,
  { quiet = false, toError = false }: { readonly quiet?: boolean; readonly toError?: boolean } = {},
): Promise<void> {
  const { output } = context.world;
  // Where both are a terminal it is the same one.
  const lines = new LayerLines(await output.outIsTerminal());
  const write = (text: string): Promise<void> => (toError ? output.error(text) : output.out(text));
  for await (const message of messages(body)) {
    if (message.error !== undefined || message.errorDetail !== undefined) throw refusal(message);
    const text = quiet ? "" : lines.show(message);
    if (text !== "") await write(text);
  }
}

async function* messages(body: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield* parse(line);
  }
  if (rest.trim() !== "") yield* parse(rest);
}

/** A line may hold several messages, one after another. */
function parse(line: string): Message[] {
  try {
    return [JSON.parse(line) as Message];
  } catch {
    return line.split(/(?<=\})(?=\{)/).map((part) => JSON.parse(part) as Message);
  }
}

function refusal({ error, errorDetail }: Message): Error {
  const message = errorDetail?.message ?? error ?? "";
  const hint = errorDetail?.hint;
  return failure(describe(new Error(message)) + (hint === undefined ? "" : `\nhint: ${hint}`));
}

class LayerLines {
  readonly #isTerminal: boolean;
  readonly #rows: string[] = [];

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  show(message: Message): string {
    if (message.stream !== undefined) return message.stream;
    const { id = "", status = "" } = message;
    const bar = this.#isTerminal ? barText(message) : "";
    const text = `${id === "" ? "" : `${id}: `}${status}${bar === "" ? "" : ` ${bar}`}`;
    if (!this.#isTerminal) return message.progressDetail?.current === undefined ? `${text}\n` : "";
    if (id === "") return `${text}\n`;
    const known = this.#rows.indexOf(id);
    if (known < 0) {
      this.#rows.push(id);
      return `${text}\n`;
    }
    const up = this.#rows.length - known;
    return `\x1b[${up}A\x1b[2K\r${text}\x1b[${up}B\r`;
  }
}

function barText({ progressDetail: detail }: Message): string {
  const { current = 0, total = 0 } = detail ?? {};
  if (current === 0 && total === 0) return "";
  if (total === 0) return humanSize(current);
  const filled = Math.min(BAR_WIDTH, Math.round((current / total) * BAR_WIDTH));
  const bar = `${"=".repeat(filled)}${filled < BAR_WIDTH ? ">" : ""}`.padEnd(BAR_WIDTH);
  return `[${bar}]  ${humanSize(current)}/${humanSize(total)}`;
}
