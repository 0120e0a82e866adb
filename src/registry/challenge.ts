/** What a registry asks for before it answers (RFC 9110, section 11.6.1). */
export type Challenge =
  | { readonly scheme: "basic"; readonly realm: string }
  | {
      readonly scheme: "bearer";
      /** Address of the token server. */
      readonly realm: string;
      readonly service: string;
      readonly scope: string;
    };

/** One challenge of a `WWW-Authenticate` field; Bearer before Basic when there are both. Undefined for others. */
export function parseChallenge(field: string): Challenge | undefined {
  const challenges = split(field);
  const bearer = challenges.find(({ scheme }) => scheme === "bearer");
  if (bearer !== undefined) {
    const { realm = "", service = "", scope = "" } = bearer.parameters;
    return { scheme: "bearer", realm, service, scope };
  }
  const basic = challenges.find(({ scheme }) => scheme === "basic");
  return basic && { scheme: "basic", realm: basic.parameters["realm"] ?? "" };
}

interface Parts {
  readonly scheme: string;
  readonly parameters: Record<string, string>;
}

/** `Basic realm="a", Bearer realm="b",service="c"`: a word without "=" starts the next challenge. */
function split(field: string): Parts[] {
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const pattern = new RegExp(`(${token})\\s*=\\s*("(?:[^"\\\\]|\\\\.)*"|${token})|(${token})`, "g");
  const found: Parts[] = [];
  for (const [, name, value, scheme] of field.matchAll(pattern)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const last = found.at(-1);
    if (name === undefined || value === undefined || last === undefined) continue;
    last.parameters[name.toLowerCase()] = value.startsWith('"')
      ? value.slice(1, -1).replaceAll(/\\(.)/g, "$1")
      : value;
  }
  return found;
}
