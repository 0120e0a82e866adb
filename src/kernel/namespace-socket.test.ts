import { expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { AF, socketInNamespaceOf } from "./namespace-socket.ts";
import { closeFd, openProcess } from "./process.ts";
import { syscallRaw } from "./syscall.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: sockets of other network namespaces: setns needs root");

test.skipIf(!isRoot)(
  "a socket of another namespace is in that one, and this thread is not",
  async () => {
    const own = readlinkSync("/proc/thread-self/ns/net");
    const child = Bun.spawn(["unshare", "-n", "sh", "-c", "echo up; exec sleep 60"]);
    const { value } = await child.stdout.getReader().read();
    expect(Buffer.from(value ?? []).toString()).toBe("up\n");
    const pidfd = openProcess(child.pid) ?? -1;
    try {
      const socket = socketInNamespaceOf(pidfd, AF.INET);
      expect(readlinkSync("/proc/thread-self/ns/net")).toBe(own);
      // Its loopback interface is down, so there is no way to anywhere.
      const address = Buffer.from([AF.INET, 0, 0, 9, 127, 0, 0, 1, ...Array<number>(8).fill(0)]);
      expect(syscallRaw("connect", socket, address, address.length)).toBe(-101);
      closeFd(socket);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    expect(() => socketInNamespaceOf(pidfd, AF.INET)).toThrow("ESRCH");
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(own);
    closeFd(pidfd);
  },
);
