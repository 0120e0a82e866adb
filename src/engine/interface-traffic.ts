import { kernelText } from "../kernel/kernel-text.ts";

/** What one network interface has carried. */
export interface InterfaceTraffic {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDropped: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDropped: number;
}

/** Of the network namespace of a process, by the interface's name; the loopback is not counted, as in docker. */
export function readInterfaceTraffic(pid: number): Record<string, InterfaceTraffic> {
  // It is empty once the process has ended.
  return parseInterfaceTraffic(kernelText(`/proc/${pid}/net/dev`));
}

/** Text of /proc/PID/net/dev (proc_pid_net(5)): two lines of headers, then `eth0: ` and 16 counters a line. */
export function parseInterfaceTraffic(text: string): Record<string, InterfaceTraffic> {
  const traffic: Record<string, InterfaceTraffic> = {};
  for (const line of text.split("\n").slice(2)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim();
    if (colon < 0 || name === "lo") continue;
    const counters = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    const counter = (index: number): number => counters[index] ?? 0;
    traffic[name] = {
      receivedBytes: counter(0),
      receivedPackets: counter(1),
      receiveErrors: counter(2),
      receiveDropped: counter(3),
      sentBytes: counter(8),
      sentPackets: counter(9),
      sendErrors: counter(10),
      sendDropped: counter(11),
    };
  }
  return traffic;
}
