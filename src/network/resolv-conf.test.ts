import { expect, test } from "bun:test";
import { extraEntry, formatHosts, ownNames } from "./hosts-file.ts";
import { containerResolver, parseResolvConf, servedResolvConf } from "./resolv-conf.ts";

const host = parseResolvConf(
  "# c\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver nonsense\ndomain old\nsearch a.org b.org\noptions edns0\n",
);

test("the host's file is read as the C library reads it", () => {
  expect(host).toEqual({
    servers: ["127.0.0.53", "fe80::1%eth0"],
    search: ["a.org", "b.org"],
    options: ["edns0"],
  });
});

test("a container's file has what it asked for in place of the host's", () => {
  const asked = { servers: [], search: ["."], options: [] };
  expect(servedResolvConf(containerResolver(host, asked))).toBe(
    "# Written by Tiffin.\nnameserver 127.0.0.11\noptions edns0 ndots:0\n",
  );
});

test("hosts names a container with its domain first, and the host by each of its addresses", () => {
  expect(ownNames("h", "example.org")).toEqual(["h.example.org", "h"]);
  expect(ownNames("h", "")).toEqual(["h"]);
  expect(extraEntry("me:host-gateway", ["10.0.0.1", ""])).toEqual([
    { address: "10.0.0.1", names: ["me"] },
  ]);
  expect(formatHosts(extraEntry("v6:fd00::1", []))).toEndWith("\nfd00::1\tv6\n");
});
