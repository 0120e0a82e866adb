// The first instructions of the release: hands the command line to the engine that runs already, and shows what comes back.
// A JavaScript runtime takes 25 ms to start and this takes 2, so a short command costs what the engine does for it. What is
// out of the ordinary (no engine, input, a terminal, files) is left to the whole program: this returns, and that starts.
#include "runtime.h"

enum { COMMAND = 1, SIGNAL };                                       // frames to the engine
enum { OUT = 1, ERR, STATUS, ELSEWHERE, IF_LOST, PASS_SIGNALS };    // and from it
enum { CHUNK = 16384, CLOEXEC_ = 02000000, EAGAIN_ = 11, PATIENCE = 3, OCI = 'o' | 'c' << 8 | 'i' << 16 };

struct frame { u32 kind, size; };  // `size` is the value where no data follows: a status, a signal's number
struct part { const void *data; u64 size; };
struct poll { int fd; short events, ready; };

static const char request[] = "POST /tiffin/command/" BUILD " HTTP/1.1\r\nHost: tiffin\r\nConnection: Upgrade\r\nUpgrade: tiffin\r\n\r\n";
static const u64 proxied = 0x83a6a07;  // HUP INT QUIT USR1 USR2 ALRM TERM CONT TSTP TTIN TTOU WINCH, as docker
static struct { u16 family; char path[108]; } address = {1, "/run/tiffin/tiffin.sock"};
static struct poll polled[2] = {{-1, 1, 0}, {-1, 1, 0}};  // the engine, signals
static u8 buffer[CHUNK];
static u32 if_lost = 1;

_Noreturn static void lost(void) {
  static const char words[] = "tiffin: The engine ended before the command did\n";
  SYS(write, 2, words, sizeof words - 1);
  quit((int)if_lost);
}

static void tell(const struct part *parts, int count) {
  u64 size = 0;
  for (int i = 0; i < count; i++) size += parts[i].size;
  if (SYS(writev, polled[0].fd, parts, count) != (long)size) lost();
}

static void receive(void *data, u64 size) {
  long got;
  for (u8 *to = data; size; to += got, size -= (u64)got)
    if ((got = SYS(read, polled[0].fd, to, size)) <= 0) lost();
}

static void show(int fd, u64 size) {
  for (u64 have; size; size -= have) {
    receive(buffer, have = size < CHUNK ? size : CHUNK);
    for (u64 sent = 0; sent < have;) {
      long result = SYS(write, fd, buffer + sent, have - sent);
      if (result == -EAGAIN_) SYS(ppoll, &((struct poll){fd, 4, 0}), 1, 0, 0, 8);
      else if (result < 0) quit(1);
      else sent += (u64)result;
    }
  }
}

static void pass_signal(void) {
  static int endings;
  u32 info[32];
  SYS(read, polled[1].fd, info, sizeof info);
  if ((info[0] == 2 || info[0] == 15) && endings++ == PATIENCE) quit(128 + (int)info[0]);
  tell(&(struct part){&(struct frame){SIGNAL, info[0]}, sizeof(struct frame)}, 1);
}

// The engine that the environment names, if it is of this build. Whether it is the right one, it says itself.
static int reach(char **environment) {
  for (; *environment; environment++) {
    const char *name = "TIFFIN_HOST=unix://", *value = *environment;
    while (*name && *name == *value) name++, value++;
    if (!*name) for (u32 i = 0; i < sizeof address.path && (address.path[i] = value[i]); i++) {}
  }
  int fd = polled[0].fd = (int)SYS(socket, 1, 1 | CLOEXEC_, 0);
  if (SYS(connect, fd, &address, sizeof address) < 0 || SYS(write, fd, request, sizeof request - 1) < 0) return 0;
  long got = SYS(read, fd, buffer, CHUNK);
  return got > 16 && *(u32 *)(buffer + 9) == 0x20313031 /* "101 " */ && *(u32 *)(buffer + got - 4) == 0x0a0d0a0d;
}

// The strings of the arguments and of the environment lie one behind the other: execve(2) puts them so.
static void command(long *stack) {
  char **words = (char **)(stack + 1), **environment = words + stack[0] + 1, **last = *environment ? environment : environment - 2;
  while (last[1]) last++;
  char *first = words[0], *end = *last;
  while (*end++) {}
  long directory = SYS(getcwd, buffer, CHUNK);
  struct { struct frame frame; u32 words; } head = {{COMMAND, 4 + (u32)directory + (u32)(end - first)}, (u32)stack[0]};
  tell((struct part[]){{&head, sizeof head}, {buffer, (u64)directory}, {first, (u64)(end - first)}}, 3);
}

// An OCI runtime needs no engine and lives for milliseconds: mapping the code that a start runs page by page costs more than all
// at once, and compiled code and a heap of small pages more than they give. Its settings go behind the environment.
static long *as_runtime(long *stack, long program, long **environment) {
  SYS(madvise, program & -4096, 32 << 20, 22 /* MADV_POPULATE_READ */);
  long *to = stack -= 2;
  for (int ends = 0; ends < 2; to++) ends += !(*to = to[2]);
  to[-1] = (long)"MIMALLOC_ALLOW_THP=1", to[0] = (long)"BUN_JSC_useJIT=0";
  if (environment) *environment = stack + stack[0] + 2;
  return stack;
}

__attribute__((used)) static long *front(long *stack, long program, long **environment) {
  const char *word = (const char *)stack[2];  // behind the program's name
  if (stack[0] > 1 && (*(const u32 *)word == OCI || *(const u32 *)(word - 4) == OCI)) return as_runtime(stack, program, environment);
  int reached = stack[0] > 0 && reach((char **)(stack + 2 + stack[0]));
  if (reached) command(stack);
  for (struct frame frame; reached;) {
    if (SYS(ppoll, polled, 2, 0, 0, 8) < 0) continue;
    if (polled[1].ready) pass_signal();
    if (!polled[0].ready) continue;
    receive(&frame, sizeof frame);
    if (frame.kind == OUT || frame.kind == ERR) show((int)frame.kind, frame.size);
    if (frame.kind == STATUS) quit((int)frame.size);
    if (frame.kind == IF_LOST) if_lost = frame.size;
    if (frame.kind == ELSEWHERE) reached = 0;
    if (frame.kind != PASS_SIGNALS) continue;
    SYS(rt_sigprocmask, 0, &proxied, 0, 8);
    polled[1].fd = (int)SYS(signalfd4, -1, &proxied, 8, CLOEXEC_);
  }
  SYS(close, polled[0].fd);
  return stack;
}

FRONT_ENTRY(front);
