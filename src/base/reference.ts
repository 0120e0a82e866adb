import { type Digest, isDigest, parseDigest } from "./digest.ts";
import { invalidArgument } from "./error.ts";

/** A name of an image, in its full form: `docker.io` / `library/debian` : `12` @ `sha256:…`. */
export interface Reference {
  /** Registry, with its port when it has one. */
  readonly domain: string;
  /** Repository path in the registry. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export const DEFAULT_DOMAIN = "docker.io";
export const DEFAULT_TAG = "latest";
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL_PREFIX = "library/";
/** Docker's bound on the repository path. */
const MAX_PATH_LENGTH = 255;

// The grammar of github.com/distribution/reference ("Grammar" in its reference.go documentation).
const DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const PATH_COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const PATH = `${PATH_COMPONENT}(?:/${PATH_COMPONENT})*`;
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const TAG_ALONE = new RegExp(`^${TAG}$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/**
 * Parses what users write (`debian`, `debian:12`, `localhost:5000/team/app@sha256:…`) into the full form; a short name
 * is one of docker.io, an official image of docker.io/library. No tag is added.
 *
 * @throws invalid-argument, in docker's words
 */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text)) {
    throw invalidArgument(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  const { domain, remainder } = splitDomain(text);
  const name = remainder.split(/[:@]/, 1)[0] ?? "";
  if (name !== name.toLowerCase()) {
    throw invalidArgument(
      `invalid reference format: repository name (${name}) must be lowercase`,
      `Try ${JSON.stringify(text.toLowerCase())}`,
    );
  }
  const match = REFERENCE.exec(`${domain}/${remainder}`);
  const path = match?.[2];
  if (match === null || path === undefined) {
    throw invalidArgument(
      "invalid reference format",
      `Write ${JSON.stringify(text)} as [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]`,
    );
  }
  if (path.length > MAX_PATH_LENGTH) {
    throw invalidArgument(`repository name must not be more than ${MAX_PATH_LENGTH} characters`);
  }
  const digest = match[4];
  return {
    domain,
    path,
    tag: match[3],
    digest: digest === undefined ? undefined : parseDigest(digest),
  };
}

/** What comes before the first slash is a registry when it looks like a host; otherwise the name is one of docker.io. */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf("/");
  const first = text.slice(0, Math.max(slash, 0));
  const hasDomain = slash >= 0 && looksLikeHost(first);
  const domain = !hasDomain || first === LEGACY_DOMAIN ? DEFAULT_DOMAIN : first;
  let remainder = hasDomain ? text.slice(slash + 1) : text;
  if (domain === DEFAULT_DOMAIN && !remainder.includes("/")) {
    remainder = OFFICIAL_PREFIX + remainder;
  }
  return { domain, remainder };
}

/** A repository name has no upper case, so a first component with one can only be a host. */
function looksLikeHost(component: string): boolean {
  return (
    component === "localhost" || /[.:]/.test(component) || component !== component.toLowerCase()
  );
}

/** True for text that may stand after the colon of a reference. */
export function isTag(text: string): boolean {
  return TAG_ALONE.test(text);
}

/** True when the text names an image by its content alone: `sha256:…` or 64 hexadecimal digits. */
export function isImageId(text: string): boolean {
  return isDigest(text) || IDENTIFIER.test(text);
}

/** The same reference with the tag `latest` when it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: DEFAULT_TAG }
    : reference;
}

/** `docker.io/library/debian`: what names are stored under. */
export function fullName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `docker.io/library/debian:12` */
export function fullReference(reference: Reference): string {
  return fullName(reference) + suffix(reference);
}

/** `debian`, `team/app`, `localhost:5000/app`: the shortest form that parses to the same name. */
export function familiarName(reference: Reference): string {
  const { domain, path } = reference;
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const official = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : path;
  if (!official.includes("/")) return official;
  // Without the registry, "foo.bar/app" of docker.io would be read as "app" of the registry foo.bar.
  return splitDomain(path).domain === DEFAULT_DOMAIN ? path : `${domain}/${path}`;
}

/** `debian:12`: how docker prints a reference. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}
