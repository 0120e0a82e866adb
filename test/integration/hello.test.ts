/** The program of the built-in image tells the kernel's truth, also outside a container. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

const HELLO = join(import.meta.dirname, "../../native/build/hello");
if (!existsSync(HELLO))
  console.log("skip: hello: native/build/hello is not built; run: npm run native");
const canUnshare = process.getuid?.() === 0 && Bun.which("unshare") !== null;
if (!canUnshare) console.log("skip: hello in namespaces of its own: this needs root and unshare");

type Facts = Readonly<Record<string, string | number | null>>;

function facts(...command: string[]): Facts {
  const [program, ...args] = [...command, HELLO, "--json"];
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout) as Facts;
}

const namespaceOf = (name: string) =>
  Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${name}`))?.[0]);
const NAMESPACES = ["pid", "mnt", "uts", "ipc", "net", "user", "cgroup", "time"];

test.skipIf(!existsSync(HELLO))("hello tells the host's truth on the host", () => {
  const told = facts();
  expect(told["hostname"]).toBe(hostname());
  expect(told["uid"]).toBe(process.getuid?.() ?? -1);
  for (const name of NAMESPACES) expect(told[`${name}Namespace`]).toBe(namespaceOf(name));
  const status = readFileSync("/proc/self/status", "utf8");
  expect(told["CapEff"]).toBe(/CapEff:\t(\S+)/.exec(status)?.[1] ?? "");
  expect(told["seccomp"]).toBe(Number(/Seccomp:\t(\d)/.exec(status)?.[1]));
  expect(told["processes"]).toBeGreaterThan(1);
});

test.skipIf(!existsSync(HELLO) || !canUnshare)("hello sees namespaces of its own", () => {
  const own = ["pid", "mnt", "uts", "ipc"];
  const told = facts("unshare", "--pid", "--fork", "--mount-proc", "--uts", "--ipc");
  expect(told["pid"]).toBe(1);
  expect(told["processes"]).toBe(1);
  for (const name of NAMESPACES) {
    expect({ name, same: told[`${name}Namespace`] === namespaceOf(name) }).toEqual({
      name,
      same: !own.includes(name),
    });
  }
});

test.skipIf(!existsSync(HELLO))("hello's text is short and aligned", () => {
  const { stdout } = spawnSync(HELLO, { encoding: "utf8" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines.length).toBeLessThan(40);
  expect(lines.filter((line) => /^[A-Z ]+$/.test(line))).toEqual([
    "PROCESSES",
    "IDENTITY",
    "LIMITS",
    "ROOT FILE SYSTEM",
    "NAMESPACES",
    "PRIVILEGES",
  ]);
  expect(spawnSync(HELLO, ["--what"]).status).toBe(2);
});
