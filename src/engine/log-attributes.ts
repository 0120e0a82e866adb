import { invalidArgument } from "../base/error.ts";
import { familiarReference, parseReference } from "../base/reference.ts";
import { shortId } from "../base/digest.ts";
import type { Container, ContainerSpec } from "./types.ts";

type Facts = Pick<Container, "id" | "name" | "imageId" | "spec">;

/**
 * What `logs --details` shows before each line, by name: the labels and variables that --log-opt labels, labels-regex, env and
 * env-regex name, and its tag (moby, daemon/logger/loginfo.go). They do not change while a container lives.
 */
export function logAttributes(container: Facts): Record<string, string> {
  const { spec } = container;
  const { labels, "labels-regex": labelsRegex, env, "env-regex": envRegex } = spec.logOptions;
  const environment = Object.fromEntries(
    spec.environment.map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
  const { tag = "" } = spec.logOptions;
  return {
    ...chosen(spec.labels, labels, labelsRegex),
    ...chosen(environment, env, envRegex),
    ...(tag === "" ? {} : { tag: expandTag(tag, container) }),
  };
}

function chosen(
  all: Readonly<Record<string, string>>,
  names: string | undefined,
  pattern: string | undefined,
): Record<string, string> {
  const named = new Set((names ?? "").split(",").filter((name) => name !== ""));
  const expression = pattern ? new RegExp(pattern) : undefined;
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => named.has(name) || expression?.test(name) === true),
  );
}

/** What can be seen at create to be wrong with them. @throws invalid-argument */
export function validateLogAttributes(spec: ContainerSpec): void {
  for (const name of ["labels-regex", "env-regex"]) {
    const pattern = spec.logOptions[name] ?? "";
    try {
      RegExp(pattern);
    } catch {
      throw invalidArgument(`error parsing regexp: ${name}: ${JSON.stringify(pattern)}`);
    }
  }
  const id = "0".repeat(64);
  expandTag(spec.logOptions["tag"] ?? "", { id, name: "", imageId: `sha256:${id}`, spec });
}

/** A tag may hold `{{.Name}}` and the like: docker's fields, without the rest of its template language. */
function expandTag(tag: string, container: Facts): string {
  const { id, name, imageId, spec } = container;
  const fields: Readonly<Record<string, string>> = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: shortId(imageId),
    ImageFullID: imageId,
    ImageName: imageName(spec.image),
    DaemonName: "tiffin",
  };
  return tag.replaceAll(/\{\{(.*?)\}\}/g, (_, words: string) => {
    const field = /^\s*\.(\w+)\s*$/.exec(words)?.[1] ?? "";
    const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (value !== undefined) return value;
    throw invalidArgument(
      `Cannot use log option tag=${tag}: "{{${words}}}" is not known`,
      `Use one of ${Object.keys(fields)
        .map((known) => `{{.${known}}}`)
        .join(", ")}`,
    );
  });
}

function imageName(image: string): string {
  try {
    return familiarReference(parseReference(image));
  } catch {
    // A container made by an image's ID.
    return image;
  }
}
