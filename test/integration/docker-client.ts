/**
 * Which docker client the tests drive. Both 20.10 and 28 must work with the engine; where a test uses an option that only the
 * newer one has, or holds tiffin's words against docker's newest, the older one is left out and that is told.
 */

/** Major version of docker's client in PATH; 0 where there is none. */
export const dockerClientVersion: number = clientVersion();

/** The client that tiffin's own words, columns and options follow. */
const CURRENT = 28;

/** True with a client that has today's options and words (or none: then tests of it do not run anyway). */
export function isCurrentDocker(lacking: string): boolean {
  if (dockerClientVersion === 0 || dockerClientVersion >= CURRENT) return true;
  console.log(`skipped with docker's client ${dockerClientVersion}: ${lacking}`);
  return false;
}

function clientVersion(): number {
  if (Bun.which("docker") === null) return 0;
  const { stdout } = Bun.spawnSync(["docker", "--version"]);
  return Number(/^Docker version (\d+)\./.exec(stdout.toString())?.[1] ?? 0);
}
