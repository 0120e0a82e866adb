// Packs native/build/hello as the built-in image: build/hello.tar, an OCI image layout of two layers. The same program
// gives the same bytes, so the image has the same id wherever it is built with the same compiler.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { hostPlatform } from "../src/images/manifest.ts";
import { ociLayoutArchive } from "../src/images/pack-archive.ts";
import { tarArchive } from "../src/layers/tar-writer.ts";

const ROOT = join(import.meta.dirname, "..");
const CREATED = "2026-11-01T00:00:00Z";
const mtimeNs = BigInt(Date.parse(CREATED)) * 1_000_000n;

const PASSWD = "root:x:0:0:root:/root:/hello\nnobody:x:65534:65534:nobody:/:/hello\n";
const GROUP = "root:x:0:\nnogroup:x:65534:\n";

/** Layer 1: what every root file system has, so that mounts find their places. */
function skeleton(): Uint8Array {
  const directory = (path: string, mode = 0o755) =>
    ({ type: "directory", path, mode, mtimeNs }) as const;
  const file = (path: string, content: string) =>
    ({ type: "file", path, mode: 0o644, mtimeNs, content }) as const;
  return tarArchive([
    directory("dev"),
    directory("etc"),
    file("etc/group", GROUP),
    file("etc/passwd", PASSWD),
    directory("proc"),
    directory("root", 0o700),
    directory("run"),
    directory("sys"),
    directory("tmp", 0o1777),
  ]);
}

/** Layer 2: the program. */
function program(content: Uint8Array): Uint8Array {
  return tarArchive([{ type: "file", path: "hello", mode: 0o755, mtimeNs, content }]);
}

const output = process.argv[2] ?? join(ROOT, "build", "hello.tar");
const hello = readFileSync(join(ROOT, "native", "build", "hello"));
const archive = ociLayoutArchive([
  {
    name: "hello:latest",
    architecture: hostPlatform().architecture,
    created: CREATED,
    config: { Entrypoint: ["/hello"], Env: ["PATH=/"], WorkingDir: "/" },
    layers: [
      { tar: skeleton(), createdBy: "a root file system's skeleton" },
      { tar: program(hello), createdBy: "the program /hello" },
    ],
  },
]);
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, archive);
