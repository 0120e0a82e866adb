import { expect, test } from "bun:test";
import { HostPorts } from "./host-port.ts";

const candidate = (hostPort: number, protocol: "tcp" | "udp" = "tcp") => ({
  protocol,
  hostIps: ["0.0.0.0", "::"],
  hostPort,
});

test("what a program of the host has is found, however many others are asked about before", () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const ports = new HostPorts();
  const held = server.port;
  for (let other = 61_100; other < 61_200; other++) ports.obstacle(candidate(other));
  const found = ports.obstacle(candidate(held));
  expect(found?.message).toContain(`:${held} failed: port is already allocated by process`);
  server.stop(true);
  // Another look is another list.
  expect(new HostPorts().obstacle(candidate(held))).toBeUndefined();
});

test("the same for UDP, and for an address that is not the host's", async () => {
  const server = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const ports = new HostPorts();
  for (let other = 61_100; other < 61_200; other++) ports.obstacle(candidate(other, "udp"));
  expect(ports.obstacle(candidate(server.port, "udp"))?.code).toBe("conflict");
  server.close();
  const elsewhere = { ...candidate(61_300), hostIps: ["203.0.113.1"] };
  expect(ports.obstacle(elsewhere)?.message).toContain("cannot assign requested address");
});
