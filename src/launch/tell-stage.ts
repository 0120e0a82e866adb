import { call, type Operand, type Operation, type Register } from "../base/operation.ts";
import { STAGE } from "./frames.ts";

const ENGINE_FD = 3;
const MSG_NOSIGNAL = 0x4000;

/** Tells the process that started the launcher a number (such as a pid), and waits for it when `wait` is set. */
export function planStage(value: Register | number, what: string, wait: boolean): Operation[] {
  return [
    tell(value, what),
    ...(wait
      ? [
          call(
            "recvfrom",
            [ENGINE_FD, { scratch: "go on", size: 8 }, 1, 0, null, null],
            "wait for the runtime",
          ),
        ]
      : []),
  ];
}

/** Tells that a stage is reached, and takes the number that comes as an answer into register `result`. */
export function planQuestion(what: string, result: string): Operation[] {
  const MSG_WAITALL = 0x100;
  const answer = { scratch: "answer", size: 8 };
  return [
    tell(0, what),
    call("recvfrom", [ENGINE_FD, answer, 4, MSG_WAITALL, null, null], "take the engine's answer"),
    { control: "load", from: answer, offset: 0, result, reason: "read the number" },
  ];
}

function tell(value: Register | number, what: string): Operation {
  const frame: Operand = {
    struct: [
      [4, STAGE],
      [4, 4],
      [4, value],
      [4, 0],
    ],
  };
  return call("sendto", [ENGINE_FD, frame, 12, MSG_NOSIGNAL, null, 0], `tell that ${what}`);
}
