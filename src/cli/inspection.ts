import { isTiffinError, messageOf } from "../base/error.ts";
import { parseJson, apiPath } from "../api/client.ts";
import type { Context } from "./command.ts";
import { describe, failure } from "./failure.ts";
import { imagePath } from "./image-path.ts";
import { platformQuery } from "./platform-query.ts";

export type InspectedKind = "container" | "image" | "network" | "volume";

export interface Inspection {
  /** "": look for a container, then for an image, a network, a volume. */
  readonly type: "" | InspectedKind;
  readonly format: string;
  readonly size: boolean;
  /** Of an image that is here for several: `linux/arm64`; "" for the one that its name stands for. */
  readonly platform?: string;
}

/** docker's status for a format that is no template. */
const BAD_FORMAT_STATUS = 64;

/**
 * `inspect` of all operands: their JSON in one indented list, or each by the format. Those that fail come last, as errors.
 */
export async function inspectObjects(context: Context, inspection: Inspection): Promise<number> {
  const isJson = inspection.format === "" || inspection.format === "json";
  const printer = isJson ? undefined : await templatePrinter(inspection.format);
  const found: string[] = [];
  const errors: string[] = [];
  for (const name of context.arguments.operands) {
    try {
      const json = await fetchObject(context, name, inspection);
      found.push(printer === undefined ? json : printer(json));
    } catch (error) {
      errors.push(describe(error));
    }
  }
  const text = isJson ? jsonList(found, inspection.format === "") : found.join("\n");
  await context.print(text);
  if (errors.length > 0) throw failure(errors.join("\n"));
  return 0;
}

const TARGETS: Readonly<Record<InspectedKind, (name: string) => string>> = {
  container: (name) => apiPath("containers", name, "json"),
  image: (name) => imagePath(name, "json"),
  network: (name) => apiPath("networks", name),
  volume: (name) => apiPath("volumes", name),
};

async function fetchObject(
  context: Context,
  name: string,
  inspection: Inspection,
): Promise<string> {
  const kinds: readonly InspectedKind[] =
    inspection.type === "" ? ["container", "image", "network", "volume"] : [inspection.type];
  for (const kind of kinds) {
    try {
      const query = {
        ...(inspection.size && kind === "container" ? { size: 1 } : {}),
        ...(kind === "image" ? platformQuery(inspection.platform ?? "") : {}),
      };
      const response = await context.api.request("GET", TARGETS[kind](name), { query });
      const text = await response.text();
      if (kind !== "container" && inspection.size) {
        await context.warn(`WARNING: --size ignored for ${kind}`);
      }
      return text;
    } catch (error) {
      const isElsewhere =
        isTiffinError(error, "not-found") || messageOf(error).includes("invalid reference format");
      if (inspection.type !== "" || !isElsewhere) throw error;
    }
  }
  throw failure(`Error: No such object: ${name}`);
}

function jsonList(objects: readonly string[], indented: boolean): string {
  if (objects.length === 0) return "[]";
  const text = `[${objects.map((object) => object.trim()).join(",")}]`;
  return indented ? indentJson(text) : compactJson(text);
}

async function templatePrinter(format: string): Promise<(json: string) => string> {
  const { Template } = await import("./go-template/template.ts");
  const { inspectedStruct } = await import("./inspected-struct.ts");
  let template: InstanceType<typeof Template>;
  try {
    template = new Template(format);
  } catch (error) {
    throw failure(`template parsing error: ${messageOf(error)}`, BAD_FORMAT_STATUS);
  }
  return (json) => {
    const value = parseJson(json);
    const typed = template.runPartly(inspectedStruct(value), { missingKeyIsError: false });
    if (typed.error === undefined) return typed.text;
    try {
      // As docker does: what the known fields do not have may be in what the engine sent.
      return template.run(value, { missingKeyIsError: true });
    } catch (error) {
      throw failure(`template parsing error: ${messageOf(error)}`);
    }
  };
}

/** Parts of JSON text outside of strings, and strings. */
const PARTS = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g;
const INDENT = "    ";

/** Indents JSON text without parsing its values: numbers and escapes stay as the engine wrote them. */
export function indentJson(text: string): string {
  const parts = text.match(PARTS) ?? [];
  let depth = 0;
  const out: string[] = [];
  for (const [index, part] of parts.entries()) {
    if (part === "{" || part === "[") {
      const closes = parts[index + 1] === "}" || parts[index + 1] === "]";
      depth += 1;
      out.push(closes ? part : `${part}\n${INDENT.repeat(depth)}`);
    } else if (part === "}" || part === "]") {
      depth -= 1;
      const before = parts[index - 1];
      out.push(before === "{" || before === "[" ? part : `\n${INDENT.repeat(depth)}${part}`);
    } else if (part === ",") out.push(`,\n${INDENT.repeat(depth)}`);
    else out.push(part === ":" ? ": " : part);
  }
  return out.join("");
}

function compactJson(text: string): string {
  return (text.match(PARTS) ?? []).join("");
}
