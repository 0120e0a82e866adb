// The launch program (src/launch/compile.ts writes it) and the frames that a supervisor speaks (src/launch/frames.ts).
#pragma once
#include "runtime.h"

enum { LAUNCH_MAGIC = 0x314e4654 /* "TFN1" */, NO_REGISTER = 0xffff, FD_ENGINE = 3, FD_PROGRAM = 4 };

// Followed by the operations, the relocations (u32 offsets into the data, padded to 8 bytes) and the data.
struct program {
  u32 magic, op_count, relocation_count, register_count, data_size, unused;
};

enum kind { OP_SYSCALL, OP_FORK, OP_BRANCH, OP_STORE, OP_LOAD, OP_WAIT, OP_DECIMAL, OP_EXEC, OP_INIT, OP_SUPERVISE };
enum argument { ARG_NUMBER, ARG_REGISTER, ARG_ADDRESS };

struct op {
  u8 kind, any_error_is_fine;
  u16 result;                // register, or NO_REGISTER
  u32 number;                // system call, or the operation to go on with
  u8 argument[6], unused[2];
  u16 fine_errors[4];
  u64 value[6];              // number, register, or offset into the data
};

// One page or two that both sides of the fork share, and that the engine gets as the REPORT frame.
struct report {
  i32 failed_op, error;      // -1: nothing failed
  u32 op_count, register_count;
  u64 nanoseconds, ticks;    // from the start to this report, by both clocks
  u64 slots[];               // op_count times (ticks since the start; 0: not run), then register_count registers
};

struct supervise {
  i32 pid, pidfd, listener, directory, log_directory, oom, stdin_fd, stdout_fd, stderr_fd, terminal;
  u32 close_stdin_with_client, engine_streams;  // STREAM_* bits that the engine is subscribed to from the start
  u32 log_keep, log_next;
  u64 log_max;
};

enum { STREAM_STDOUT = 1, STREAM_STDERR = 2 };
enum to_supervisor { IN_STDIN, IN_CLOSE_STDIN, IN_RESIZE, IN_SUBSCRIBE, IN_KILL };
enum from_supervisor { OUT_STDOUT, OUT_STDERR, OUT_EXIT, OUT_REPORT };

struct frame {
  u32 type, size;
};

u64 now(int clock);
void send_report(int fd);
_Noreturn void supervise(const struct supervise *config);
