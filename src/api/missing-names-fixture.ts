/** Names that docker's answer has and ours lacks, as paths. */
export function missingNames(theirs: unknown, ours: unknown, path = ""): string[] {
  if (Array.isArray(theirs)) {
    const [first] = theirs as unknown[];
    if (typeof first !== "object") return [];
    return missingNames(first, (ours as unknown[])[0], `${path}[0]`);
  }
  if (typeof theirs !== "object" || theirs === null) return [];
  return Object.entries(theirs).flatMap(([name, value]) => {
    const own = ours as Record<string, unknown>;
    return Object.hasOwn(own, name)
      ? missingNames(value, own[name], `${path}.${name}`)
      : [`${path}.${name}`];
  });
}
