/** The programs that integration tests run beside Tiffin: makers of images, and docker's own client. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isInstalled, root } from "./setup.mjs";

const tools = [
  { program: "busybox", package: "busybox-static", why: "small root file systems" },
  { program: "getfattr", package: "attr", why: "extended attributes seen from outside" },
  { program: "mmdebstrap", package: "mmdebstrap", why: "a Debian root file system" },
  { program: "zstd", package: "zstd", why: "archives in zstd" },
  { program: "zsh", package: "zsh", why: "its completion" },
  { program: "fish", package: "fish", why: "its completion" },
  { program: "skopeo", package: "skopeo", why: "archives as skopeo writes them" },
  { program: "docker-registry", package: "docker-registry", why: "a registry to pull from" },
  { program: "dig", package: "bind9-dnsutils", why: "names in networks" },
  { program: "umoci", package: "umoci", why: "OCI layouts as umoci writes them" },
];

/**
 * Installs the missing ones where that is possible (root, Debian) and puts docker's client into PATH.
 * @returns {string[]} what is still missing, in words
 */
export function bringTestTools() {
  const canInstall = process.getuid?.() === 0 && isInstalled("apt-get");
  const wanted = tools.filter((tool) => !isInstalled(tool.program));
  const toolFolder = join(root, "build/tools");
  process.env.PATH = `${process.env.PATH}:${toolFolder}`;
  if (wanted.length === 0 && isInstalled("docker")) return [];
  if (canInstall) {
    console.log(
      `tools: ${[...wanted.map((tool) => tool.package), ...(isInstalled("docker") ? [] : ["docker's client"])].join(", ")} ...`,
    );
    apt("update");
    if (wanted.length > 0)
      apt("install", "--yes", "--no-install-recommends", ...wanted.map((tool) => tool.package));
    if (!isInstalled("docker")) bringDockerClient(toolFolder);
  }
  const missing = wanted.filter((tool) => !isInstalled(tool.program));
  const cause = canInstall
    ? "apt-get could not install it"
    : "install it, or run as root on Debian";
  return [
    ...missing.map((tool) => `tests with ${tool.program} (${tool.why}): ${cause}`),
    ...(isInstalled("docker") ? [] : [`tests with docker's client: ${cause}`]),
  ];
}

/**
 * Takes the client alone out of Debian's package: installing docker.io would start a dockerd. Debian 13 has the client in
 * docker-cli, Debian 12 in docker.io.
 */
function bringDockerClient(folder) {
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, "download."));
  try {
    for (const name of ["docker-cli", "docker.io"]) {
      spawnSync("apt-get", ["download", "-qq", name], {
        cwd: scratch,
        stdio: ["ignore", 2, "ignore"],
      });
      const archive = readdirSync(scratch).find((file) => file.startsWith(`${name}_`));
      if (archive === undefined) continue;
      spawnSync("dpkg-deb", ["--extract", archive, "content"], {
        cwd: scratch,
        stdio: ["ignore", 2, 2],
      });
      const client = join(scratch, "content/usr/bin/docker");
      if (!existsSync(client)) continue;
      renameSync(client, join(folder, "docker"));
      return;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function apt(...args) {
  const result = spawnSync("apt-get", ["-qq", "-o=Dpkg::Use-Pty=0", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    timeout: 900_000,
  });
  if (result.status !== 0)
    console.log(`tools: apt-get ${args[0]} failed: ${lastLine(result.stderr)}`);
}

function lastLine(text) {
  return text.trim().split("\n").at(-1) ?? "";
}
