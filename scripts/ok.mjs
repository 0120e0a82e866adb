/** `npm run ok`, the gate: format, lint, types, dead code, house rules, unit tests and the architecture test. */
import { fail, setup } from "./setup.mjs";
import {
  add,
  emptyTally,
  filesBelow,
  inParallel,
  runCheck,
  runTestFile,
  summary,
} from "./test-runner.mjs";

const checks = [
  { name: "format", command: ["node_modules/.bin/biome", "format", "."] },
  {
    name: "lint",
    command: ["node_modules/.bin/oxlint", "--type-aware", "--deny-warnings", "--format=unix"],
  },
  { name: "types", command: ["node_modules/.bin/tsc", "--noEmit"] },
  { name: "dead code", command: ["scripts/bun", "node_modules/knip/bin/knip.js"] },
  { name: "house rules", command: ["scripts/bun", "scripts/check-house-rules.ts"] },
];

const testSuffixes = [".test.ts", ".test.mjs"];

/** Runs the gate and resolves to its counts; every check and every test is one. */
export async function gate() {
  const tally = emptyTally();
  await inParallel(checks, 2, async (check) => add(tally, await runCheck(check)));
  const files = [
    "test/architecture.test.ts",
    ...["scripts", "src", "bench", "web"].flatMap((folder) => filesBelow(folder, testSuffixes)),
  ];
  await inParallel(files, 2, async (file) => {
    add(tally, await runTestFile(file, { testTimeoutMs: 60_000, fileTimeoutMs: 180_000 }));
  });
  return tally;
}

/** Prints what was skipped and the closing line, and sets the exit status. */
export function finish(tally) {
  for (const reason of tally.reasons) console.log(`skipped: ${reason}`);
  console.log(summary(tally));
  process.exitCode = tally.failed > 0 ? 1 : 0;
}

if (process.argv[1]?.endsWith("ok.mjs")) {
  try {
    setup();
    finish(await gate());
  } catch (error) {
    fail(error);
  }
}
