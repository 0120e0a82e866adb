import { afterAll, beforeAll, describe, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { OciFixture } from "./oci-fixture.ts";

const project = join(import.meta.dir, "../../..");

/** A runtime under test, and where it is known not to do what the specification says, with the reason. */
export interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
  /** By the name of a test: why it does not hold for this runtime. */
  readonly differs: Readonly<Record<string, string>>;
}

/** runc first: what holds for it is what the tests mean, and so they can be trusted. */
const RUNTIMES: readonly Runtime[] = [
  {
    name: "runc",
    command: ["runc"],
    differs: {
      "delete refuses a container that is created": "runc ends it, for old callers",
      "exec sets the file mode creation mask": "runc 1.1 does it for the first process only",
      "poststart hooks run after the start": "runc 1.1 runs them at create",
      "hooks that fail after the end are warnings, and the others run": "runc 1.1 leaves the rest",
      "refuses limits that are there twice, or are none": "runc takes the last of two",
      "mounts are refused inside of /proc": "runc 1.1 looks at binds only",
      "rootfsPropagation of a shared root makes a group of its own":
        "runc shares the parent's mount",
      "a hook that fails after the start ends the container": "runc 1.1 leaves it running",
      "memory of the time namespace: offsets shift the clocks": "runc knows it since 1.2",
      "a bind can map its owners": "runc 1.1 does it with a user namespace only",
      "domainname is set": "runc 1.1 does not know it",
      "a scheduling policy is set": "runc knows it since 1.2",
      "an I/O priority is set": "runc knows it since 1.2",
      "a personality is set": "runc knows it since 1.2",
      "an errno for an action that has none is refused": "runc passes over it",
      "a device path that holds another file is refused": "runc keeps the file",
      "an unknown capability is a warning": "runc 1.1 says nothing of it in the log file",
      "a relative destination is below the root": "runc says so in a warning only since 1.1",
      "a namespace path of another type is refused": "runc enters it by its path's name",
      "pids.limit of 0 allows no process": "runc takes it for no limit",
    },
  },
  { name: "tiffin", command: [join(project, "bin/tiffin"), "oci"], differs: {} },
];

function isThere(runtime: Runtime): boolean {
  const [program = ""] = runtime.command;
  return program.includes("/") ? existsSync(program) : Bun.which(program) !== null;
}

/** Tests of one topic, for each runtime in turn. */
export function forEachRuntime(
  topic: string,
  tests: (clause: (name: string, run: (oci: OciFixture) => Promise<void>) => void) => void,
): void {
  for (const runtime of RUNTIMES) {
    if (process.getuid?.() !== 0 || !isThere(runtime)) {
      console.log(`skipped: ${topic}, ${runtime.name}: it takes root and the program`);
      continue;
    }
    describe(`${runtime.name}: ${topic}`, () => {
      let fixture: OciFixture | undefined;
      beforeAll(() => {
        fixture = new OciFixture(runtime.command);
      });
      afterAll(async () => {
        await fixture?.dispose();
      });
      tests((name, run) => {
        const reason = runtime.differs[name];
        if (reason !== undefined) {
          console.log(`skipped: ${runtime.name}: ${name}: ${reason}`);
          return;
        }
        test(name, async () => {
          if (fixture === undefined) return;
          try {
            await run(fixture);
          } finally {
            await fixture.clean();
          }
        }, 60_000);
      });
    });
  }
}
