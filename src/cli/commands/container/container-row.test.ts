import { expect, test } from "bun:test";
import { containerRow, EMPTY_CONTAINER, portsText } from "./container-row.ts";

test("ports are joined where they follow each other, and published ones say where", () => {
  expect(
    portsText([
      { PrivatePort: 9988, Type: "tcp" },
      { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { IP: "0.0.0.0", PrivatePort: 5000, PublicPort: 5000, Type: "tcp" },
      { IP: "0.0.0.0", PrivatePort: 5001, PublicPort: 5001, Type: "tcp" },
      { IP: "::", PrivatePort: 443, PublicPort: 443, Type: "tcp" },
      { PrivatePort: 9989, Type: "tcp" },
    ]),
  ).toBe(
    "[::]:443->443/tcp, 0.0.0.0:5000-5001->5000-5001/tcp, 9988-9989/tcp, 0.0.0.0:8080->80/tcp",
  );
});

test("a row shows docker's fields", () => {
  const row = containerRow(
    {
      ...EMPTY_CONTAINER,
      Id: "8b181a0514dec378b82c2237acfa37636a9b62735e95e71ac7f000ed69942370",
      Names: ["/other/link", "/web"],
      Image:
        "docker.io/library/busybox@sha256:26192fe7466ea29edcd9e415607e7ea98d2e0dccae8034684d9830047a3f072d",
      Command: `sh -c 'echo "hello <world>"; sleep 1000'`,
      Labels: { b: "2", a: "1" },
      SizeRw: 2,
      SizeRootFs: 1980000,
      Mounts: [{ Source: "/tmp" }, { Name: "a-very-long-volume-name", Driver: "local" }],
    },
    true,
  );
  expect(row["ID"]?.()).toBe("8b181a0514de");
  expect(row["Names"]?.()).toBe("web");
  expect(row["Image"]?.()).toBe("busybox");
  expect(row["Command"]?.()).toBe('"sh -c \'echo \\"hello …"');
  expect(row["Labels"]?.()).toBe("a=1,b=2");
  expect(row["Label"]?.("a")).toBe("1");
  expect(row["Size"]?.()).toBe("2B (virtual 1.98MB)");
  expect(row["Mounts"]?.()).toBe("/tmp,a-very-long-vo…");
  expect(row["LocalVolumes"]?.()).toBe("1");
});
