/** Holds the tree against the house rules (house-rules.ts); part of `npm run ok`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { allFindings, type SourceFile } from "./house-rules.ts";

const root = join(import.meta.dir, "..");
const patterns = [
  "{src,test,bench,scripts,web}/**/*.{ts,mjs}",
  "native/*.{c,h}",
  "package-lock.json",
  ".npmrc",
];

const paths = patterns.flatMap((pattern) => [
  ...new Glob(pattern).scanSync({ cwd: root, dot: true }),
]);
const files: SourceFile[] = paths
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

const findings = allFindings(files);
for (const finding of findings) console.log(finding);
console.log(`${files.length} files, ${findings.length} findings`);
// Without its files a check passes for the wrong reason.
process.exitCode = findings.length > 0 || files.length < 20 ? 1 : 0;
