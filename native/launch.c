// Runs a launch program: a list of operations that TypeScript decided on (src/launch/). This file knows no policy and
// decides no path. On a failure it reports the operation's number and the errno; src/launch/ knows what it was for.
#include "launch.h"

enum { EACCES_ = 13, EINTR_ = 4, ENOENT_ = 2, ESRCH_ = 3, ENOTDIR_ = 20, ENOEXEC_ = 8 };
enum { POLLIN_ = 1, POLLHUP_ = 16, SIGKILL_ = 9, SIGCHLD_ = 17, WNOHANG_ = 1, LAST_SIGNAL = 64 };

static const struct op *ops;
static u8 *data;
static struct report *report;
static i64 *registers;
static u64 start_time, start_ticks;
static const i32 *child_pidfd;  // of the forked process, in its parent
static int is_child;

void *memcpy(void *to, const void *from, size_t size) {
  void *result = to;
#if defined(__x86_64__)
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
  for (u8 *t = to; size--; ) *t++ = *(const u8 *)from++;
#endif
  return result;
}

void *memset(void *to, int value, size_t size) {
  for (u8 *t = to; size--; ) *t++ = (u8)value;
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  if (to <= from) return memcpy(to, from, size);
  for (u8 *t = to; size--; ) t[size] = ((const u8 *)from)[size];
  return to;
}

u64 now(int clock) {
  i64 time[2];
  SYS(clock_gettime, clock, time);
  return (u64)time[0] * 1000000000 + (u64)time[1];
}

static int send_all(int fd, const void *bytes, size_t size) {
  while (size) {
    long sent = SYS(sendto, fd, bytes, size, 0x4000 /* MSG_NOSIGNAL */);
    if (sent == -EINTR_) continue;
    if (sent <= 0) return 0;
    bytes = (const u8 *)bytes + sent;
    size -= (size_t)sent;
  }
  return 1;
}

static size_t report_size(void) {
  return sizeof *report + 8 * (report->op_count + report->register_count);
}

void send_report(int fd) {
  struct frame frame = {OUT_REPORT, (u32)report_size()};
  if (!report->ticks) {
    report->nanoseconds = now(1) - start_time;
    report->ticks = ticks() - start_ticks;
  }
  if (send_all(fd, &frame, sizeof frame)) send_all(fd, report, frame.size);
}

// The first failure wins: when the child fails, its parent fails too, waiting for it.
_Noreturn static void fail(u32 op, long error) {
  if (report->failed_op < 0) {
    report->error = (i32)error;
    report->failed_op = (i32)op;
  }
  if (is_child) quit(127);
  // Without a descriptor any more: the child asked to die with its parent (PR_SET_PDEATHSIG).
  if (child_pidfd && SYS(pidfd_send_signal, *child_pidfd, SIGKILL_, 0, 0) == 0) SYS(wait4, -1, 0, 0, 0);
  send_report(FD_ENGINE);
  quit(127);
}

// 0 when the descriptor has one of the events, -errno, or -ESRCH when the peer ended first or has failed.
static int wait_for(int fd, int events, int peer) {
  struct { i32 fd; u16 events, found; } polls[2] = {{fd, (u16)events, 0}, {peer, POLLIN_, 0}};
  long count;
  do count = SYS(ppoll, polls, 2, 0, 0, 8);
  while (count == -EINTR_);
  if (count < 0) return (int)count;
  if (report->failed_op >= 0) return -ESRCH_;
  return polls[0].found ? 0 : -ESRCH_;
}

static i64 wait_op(const u64 *value) {
  u64 count;
  int hangup = value[2] != 0;
  int result = wait_for((int)value[0], hangup ? 0 : POLLIN_, (int)value[1]);
  if (result == 0 && !hangup) SYS(read, value[0], &count, sizeof count);
  return result;
}

static i64 write_decimal(char *to, u64 value) {
  char digits[20];
  i64 count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  for (i64 i = 0; i < count; i++) to[i] = digits[count - 1 - i];
  to[count] = 0;
  return count;
}

// As execvp(3): goes on after "not there", remembers "not allowed". Returns only on failure.
static i64 exec_op(char *const *candidates, char *const *argv, char *const *environment) {
  long error = -ENOENT_;
  for (; *candidates; candidates++) {
    long result = SYS(execve, *candidates, argv, environment);
    if (result == -EACCES_) error = result;
    else if (result != -ENOENT_ && result != -ENOTDIR_) return result;
  }
  return error;
}

// pid 1 of the container: passes signals on, reaps, ends as its child does. Returns in the child only.
static void init_op(void) {
  u64 all = ~0ULL;
  SYS(rt_sigprocmask, 0, &all, 0, 8);
  long main_child = SYS(clone, SIGCHLD_, 0, 0, 0, 0);
  if (main_child == 0) return;
  SYS(close_range, 0, ~0U, 0);
  for (;;) {
    long signal = SYS(rt_sigtimedwait, &all, 0, 0, 8);
    if (signal > 0 && signal != SIGCHLD_) SYS(kill, main_child, signal);
    int status;
    for (long pid; (pid = SYS(wait4, -1, &status, WNOHANG_, 0)) > 0; ) {
      if (pid == main_child) quit(status & 127 ? 128 + (status & 127) : status >> 8 & 255);
    }
  }
}

static void reset_signals(void) {
  u64 none = 0;
  struct { void *handler; u64 flags; void *restorer; u64 mask; } action = {0, 0, 0, 0};
  for (int signal = 1; signal <= LAST_SIGNAL; signal++) SYS(rt_sigaction, signal, &action, 0, 8);
  SYS(rt_sigprocmask, 2, &none, 0, 8);
}

static int is_fine(const struct op *op, i64 result) {
  if (op->any_error_is_fine) return 1;
  for (int i = 0; i < 4; i++) {
    if (op->fine_errors[i] && op->fine_errors[i] == -result) return 1;
  }
  return 0;
}

static i64 store(u64 to, u64 value, u64 width) {
  memcpy((void *)to, &value, width);
  return 0;
}

// One operation; `next` is where to go on.
static i64 run(const struct op *op, u32 *next) {
  u64 v[6];
  long result;
  for (int i = 0; i < 6; i++) {
    v[i] = op->value[i];
    if (op->argument[i] == ARG_REGISTER) v[i] = (u64)registers[v[i]];
    if (op->argument[i] == ARG_ADDRESS) v[i] += (u64)data;
  }
  switch ((enum kind)op->kind) {
    case OP_SYSCALL:
      return sys6(op->number, (long)v[0], (long)v[1], (long)v[2], (long)v[3], (long)v[4], (long)v[5]);
    case OP_FORK:
      result = SYS(clone3, v[0], v[1]);
      if (result == 0) is_child = 1, *next = op->number;
      if (result > 0) child_pidfd = ((i32 *const *)v[0])[1];
      return result;
    case OP_BRANCH:
      if ((i64)v[0] < 0) *next = op->number;
      return 0;
    case OP_STORE: return store(v[0], v[1], v[2]);
    case OP_LOAD: return *(i32 *)v[0];
    case OP_WAIT: return wait_op(v);
    case OP_DECIMAL: return write_decimal((char *)v[0], v[1]);
    case OP_EXEC: return exec_op((char *const *)v[0], (char *const *)v[1], (char *const *)v[2]);
    case OP_INIT: init_op(); return 0;
    case OP_SUPERVISE: send_report(FD_ENGINE); supervise((const struct supervise *)v[0]);
  }
  return -ENOEXEC_;
}

// A child's own pid must not overwrite the parent's register: the fork stores its result in the parent only.
static void execute(u32 count) {
  for (u32 i = 0; i < count; ) {
    const struct op *op = &ops[i];
    u32 next = i + 1;
    i64 result = run(op, &next);
    if (result < 0 && result > -4096 && !is_fine(op, result)) fail(i, -result);
    int in_child = op->kind == OP_FORK && result == 0;
    if (op->result != NO_REGISTER && !in_child) registers[op->result] = result;
    if (!in_child) report->slots[i] = ticks() - start_ticks + 1;
    i = next;
  }
}

__attribute__((used)) _Noreturn static void start(void) {
  u8 stat[256];
  SYS(fstat, FD_PROGRAM, stat);
  size_t size = *(u64 *)(stat + 48);  // st_size, at the same place on both architectures
  // At once, and shared by both sides of a fork: each page that faults in, or is copied, costs as much as ten system calls.
  u8 *file = (u8 *)SYS(mmap, 0, size, 3, 0x8001 /* shared, populated */, FD_PROGRAM, 0);
  const struct program *program = (const struct program *)file;
  if ((u64)file > -4096UL || size < sizeof *program || program->magic != LAUNCH_MAGIC) quit(125);
  ops = (const struct op *)(program + 1);
  const u32 *relocations = (const u32 *)(ops + program->op_count);
  data = (u8 *)(relocations + (program->relocation_count + 1) / 2 * 2);
  if (data + program->data_size > file + size) quit(125);
  for (u32 i = 0; i < program->relocation_count; i++) *(u64 *)(data + relocations[i]) += (u64)data;
  size_t slots = program->op_count + program->register_count;
  report = (struct report *)SYS(mmap, 0, sizeof *report + 8 * slots, 3, 0x8021 /* shared, anonymous, populated */, -1, 0);
  if ((u64)report > -4096UL) quit(125);
  *report = (struct report){-1, 0, program->op_count, program->register_count, 0, 0};
  start_time = now(1);
  start_ticks = ticks();
  registers = (i64 *)(report->slots + program->op_count);
  SYS(close, FD_PROGRAM);
  reset_signals();
  execute(program->op_count);
  quit(125);
}

ENTRY(start);
