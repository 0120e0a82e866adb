const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The program's environment: docker's PATH, HOSTNAME, TERM (with a terminal) and HOME under what was asked for. */
export function processEnvironment(
  asked: readonly string[],
  facts: { hostname: string; tty: boolean; home: string },
): string[] {
  const names = new Set(asked.map((variable) => variable.split("=", 1)[0]));
  const defaults: [string, string][] = [
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", facts.hostname],
    ...(facts.tty ? [["TERM", "xterm"] as [string, string]] : []),
  ];
  const missing = defaults
    .filter(([name]) => !names.has(name))
    .map(([name, value]) => `${name}=${value}`);
  const home = names.has("HOME") ? [] : [`HOME=${facts.home}`];
  return [...missing, ...asked, ...home];
}

/** Where a command may be: itself when it names a path, else below each directory of PATH. */
export function commandCandidates(
  command: string,
  environment: readonly string[],
  workingDirectory: string,
): string[] {
  if (command.includes("/")) return [command];
  const path =
    environment.find((variable) => variable.startsWith("PATH="))?.slice("PATH=".length) ??
    DEFAULT_PATH;
  return path
    .split(":")
    .map((directory) => `${directory === "" ? workingDirectory : directory}/${command}`);
}
