import { expect, test } from "bun:test";
import { parseInterfaceTraffic, readInterfaceTraffic } from "./interface-traffic.ts";

test("each interface's counters are read, the loopback's are not", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
`;
  expect(parseInterfaceTraffic(text)).toEqual({
    eth0: {
      receivedBytes: 1000,
      receivedPackets: 10,
      receiveErrors: 1,
      receiveDropped: 2,
      sentBytes: 2000,
      sentPackets: 20,
      sendErrors: 3,
      sendDropped: 4,
    },
  });
});

test("a process that is not there has no interfaces", () => {
  expect(readInterfaceTraffic(2 ** 30)).toEqual({});
});
