/** The thread of one system call that may block for long (blocking.ts). */
import { parentPort, workerData } from "node:worker_threads";
import { type SyscallArgument, syscallRaw } from "./syscall.ts";

const [call, ...args] = workerData as [string, ...SyscallArgument[]];
const port = parentPort;
port?.postMessage(syscallRaw(call, ...args));
