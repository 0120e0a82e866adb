/** `npm test`: sets up, brings what the integration tests need, and runs every test. Ends with `N passed, N failed`. */
import { bringTestTools } from "./test-tools.mjs";
import { finish, gate } from "./ok.mjs";
import { fail, setup } from "./setup.mjs";
import { add, filesBelow, runTestFile } from "./test-runner.mjs";

try {
  setup();
  const missing = bringTestTools();
  const tally = await gate();
  tally.reasons.push(...missing);
  const files = ["test/integration", "test/conformance"].flatMap((folder) =>
    filesBelow(folder, [".test.ts"]),
  );
  if (process.getuid?.() === 0) {
    // One after the other: they measure and list resources of the whole host.
    for (const file of files) {
      add(tally, await runTestFile(file, { testTimeoutMs: 120_000, fileTimeoutMs: 900_000 }));
    }
  } else {
    tally.skipped += files.length;
    tally.reasons.push(...files.map((file) => `${file}: it makes containers, which needs root`));
  }
  finish(tally);
} catch (error) {
  fail(error);
}
