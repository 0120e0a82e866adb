/** What differs between two runs of the same engine: names that it gives, times, sizes of file systems. Each gets a word. */
const REPLACEMENTS: readonly (readonly [RegExp, string | ((found: string) => string)])[] = [
  [/sha256:[0-9a-f]{64}/g, "DIGEST"],
  [/\b[0-9a-f]{64}\b/g, "ID"],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12}\b/g, "SHORTID"],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, "TIME"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} [A-Z]+/g, "TIME"],
  [/(?:Less than a second|About a minute|\d+ (?:seconds?|minutes?))/g, "SOON"],
  [/\bid=[0-9a-f]+/g, "id=ID"],
  // Docker has changed the first letters of its messages over the years.
  [/(?<=Error response from daemon: )[A-Z](?=[a-z])/g, (letter: string) => letter.toLowerCase()],
  // Columns are as wide as what stands in them.
  [/ {2,}/g, "  "],
  [/ +$/gm, ""],
];

/** The text without what no two runs share. */
export function normalize(text: string): string {
  return REPLACEMENTS.reduce(
    (result, [pattern, word]) =>
      typeof word === "string"
        ? result.replaceAll(pattern, word)
        : result.replaceAll(pattern, word),
    text,
  );
}
