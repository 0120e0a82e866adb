/** `</v2/x/tags/list?last=…>; rel="next"` (RFC 8288): only a path of the same registry counts. */
export function nextPage(link: string | null, from: string): string | undefined {
  const target = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  if (target === undefined) return undefined;
  if (!URL.canParse(target, `http://registry${from}`)) return undefined;
  const url = new URL(target, `http://registry${from}`);
  return url.host === "registry" ? `${url.pathname}${url.search}` : undefined;
}
