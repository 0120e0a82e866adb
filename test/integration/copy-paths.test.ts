/**
 * The path rules of `cp`: each form of source and destination, both ways, done by docker's own client and by tiffin, must leave
 * the same files and end with the same status.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: the path rules of cp: ${obstacle}`);

const SOURCES = [
  "dir",
  "dir/",
  "dir/.",
  "file",
  "file/",
  "link-to-dir",
  "link-to-dir/",
  "link-to-dir/.",
];
const MORE_SOURCES = ["link-to-file", "broken", "missing", "dir/sub/..", "dir/../file", "."];
const DESTINATIONS = [
  "",
  "there",
  "there/",
  "there/.",
  "new",
  "new/",
  "taken",
  "to-there",
  "to-new",
  "no/such",
];
const TIMEOUT_MS = 240_000;
/** Clients at a time. */
const AT_ONCE = 4;

/** Makes what is copied, and where to. */
const MAKE = `mkdir -p dir/sub there; echo one > dir/one; echo two > dir/sub/two; chmod 640 dir/one; echo file > file; echo taken > taken
ln -s dir link-to-dir; ln -s file link-to-file; ln -s nowhere broken; ln -s there to-there; ln -s new to-new; ln -s one dir/inner`;
/** What is there afterwards, with kinds, modes and content. */
const SHOW = `find . | sort | while read f; do
if [ -L "$f" ]; then echo "$f -> $(readlink "$f")"; elif [ -f "$f" ]; then echo "$f $(stat -c %a "$f") $(cat "$f")"; else echo "$f $(stat -c %a "$f")"; fi; done`;

let engine: EngineFixture;

interface Case {
  readonly flags: readonly string[];
  readonly from: string;
  readonly to: string;
}

interface Outcome extends Case {
  readonly status: number;
  readonly files: string;
}

/** Where a shell runs: on this machine or in the container. */
type Place = "host" | "container";

async function shell(place: Place, script: string): Promise<string> {
  if (place === "container") return engine.tiffinOk("exec", "box", "sh", "-ec", script);
  const ran = await engine.start("sh", ["-ec", script]).ended;
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: "" });
  return ran.stdout.trimEnd();
}

/** The directory to copy from, and the one with a directory for each copy. */
const placesOf = (place: Place): { from: string; to: string } =>
  place === "container"
    ? { from: "/from", to: "/to" }
    : { from: join(engine.directory, "from"), to: join(engine.directory, "to") };

/** Does all copies with one client, each into a place of its own, and tells what came of them. */
async function copyAll(
  client: "docker" | "tiffin",
  source: Place,
  cases: readonly Case[],
): Promise<Outcome[]> {
  const target = source === "host" ? "container" : "host";
  const { from } = placesOf(source);
  const { to } = placesOf(target);
  const every = cases.map((_, index) => index).join(" ");
  await shell(
    target,
    `rm -rf ${to}; mkdir ${to}; for i in ${every}; do mkdir ${to}/$i; cd ${to}/$i; ${MAKE}\ndone`,
  );
  const copy = async ({ flags, from: name, to: where }: Case, index: number): Promise<number> => {
    const ends = [`${from}/${name}`, `${to}/${index}/${where}`];
    const words = ends.map((path, end) =>
      (end === 0) === (source === "container") ? `box:${path}` : path,
    );
    return (await engine[client](["cp", ...flags, ...words])).status;
  };
  const statuses: number[] = [];
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    const some = cases.slice(at, at + AT_ONCE);
    statuses.push(...(await Promise.all(some.map((one, index) => copy(one, at + index)))));
  }
  const shown = await shell(target, `for i in ${every}; do cd ${to}/$i; ${SHOW}\necho ==; done`);
  const files = shown.split("==");
  return cases.map((one, index) => ({
    ...one,
    status: statuses[index] ?? -1,
    files: files[index] ?? "",
  }));
}

async function compare(source: Place, cases: readonly Case[]): Promise<void> {
  const theirs = await copyAll("docker", source, cases);
  const ours = await copyAll("tiffin", source, cases);
  expect(ours).toEqual(theirs);
  expect(theirs.filter(({ status }) => status === 0).length).toBeGreaterThan(cases.length / 4);
}

/** Every source to a directory, and every destination of a directory, what is in one, and a file. */
const CASES: readonly Case[] = [
  ...[...SOURCES, ...MORE_SOURCES].map((from) => ({ flags: [], from, to: "there" })),
  ...["dir", "dir/.", "file"].flatMap((from) =>
    DESTINATIONS.map((to) => ({ flags: [], from, to })),
  ),
];
const FOLLOWED: readonly Case[] = [
  "link-to-dir",
  "link-to-dir/.",
  "link-to-file",
  "broken",
].flatMap((from) => ["there", "new"].map((to) => ({ flags: ["-L"], from, to })));

describe.skipIf(obstacle !== undefined)("cp as docker's", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    const words = ["--name", "box", "--network", "none", "busybox", "sleep", "10000"];
    await engine.tiffinOk("run", "-d", ...words);
    for (const place of ["host", "container"] as const) {
      const { from } = placesOf(place);
      await shell(place, `mkdir ${from}; cd ${from}; ${MAKE}`);
    }
  });
  afterAll(async () => await engine.close());

  for (const source of ["host", "container"] as const) {
    test(`from the ${source}`, async () => await compare(source, CASES), TIMEOUT_MS);
    test(
      `from the ${source}, following links`,
      async () => await compare(source, FOLLOWED),
      TIMEOUT_MS,
    );
  }
});
