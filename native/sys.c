// The addon: raw system calls for src/kernel/, the address of a buffer, and a spawn whose cost does not depend on the
// parent's memory. It knows no call by name.
#include <errno.h>
#include <node_api.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

enum { MAX_ARGS = 7, MAX_FDS = 16, CHILD_STACK = 64 * 1024 };

// A number, a bigint, null (0) or a byte array (its address) as a machine word.
static int word_of(napi_env env, napi_value value, long *out) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return 0;
  if (type == napi_number) {
    int64_t number;
    if (napi_get_value_int64(env, value, &number) != napi_ok) return 0;
    *out = number;
    return 1;
  }
  if (type == napi_bigint) {
    uint64_t number;
    bool lossless;
    if (napi_get_value_bigint_uint64(env, value, &number, &lossless) != napi_ok) return 0;
    *out = (long)number;
    return 1;
  }
  if (type == napi_null || type == napi_undefined) {
    *out = 0;
    return 1;
  }
  void *data;
  bool is_typed = false;
  napi_is_typedarray(env, value, &is_typed);
  if (!is_typed || napi_get_typedarray_info(env, value, NULL, NULL, &data, NULL, NULL) != napi_ok) return 0;
  *out = (long)data;
  return 1;
}

static int words_of(napi_env env, napi_callback_info info, size_t *count, napi_value *values, long *words) {
  if (napi_get_cb_info(env, info, count, values, NULL, NULL) != napi_ok) return 0;
  for (size_t i = 0; i < *count; i++) {
    if (!word_of(env, values[i], &words[i])) {
      napi_throw_type_error(env, NULL, "an argument is neither number, bigint, null nor a typed array");
      return 0;
    }
  }
  return 1;
}

static long call(const long *w) {
  long result = syscall(w[0], w[1], w[2], w[3], w[4], w[5], w[6]);
  return result == -1 ? -errno : result;
}

static napi_value number(napi_env env, long value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

// syscall(number, ...arguments): the result, or -errno.
static napi_value sys_call(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGS];
  long words[MAX_ARGS] = {0};
  size_t count = MAX_ARGS;
  return words_of(env, info, &count, values, words) ? number(env, call(words)) : NULL;
}

// addressOf(typedArray): where its bytes are, for structures that hold pointers. Valid while the array is referenced.
static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value values[1];
  long words[1] = {0};
  size_t count = 1;
  return words_of(env, info, &count, values, words) ? number(env, words[0]) : NULL;
}

struct spawn {
  int executable, fd_count, fds[MAX_FDS];
  char *name;
};

// Runs in the parent's memory, on its own stack, while the parent's thread waits: system calls only. Signals stay blocked until
// the launcher has reset them: a handler of the parent's would run here.
static int spawn_child(void *data) {
  struct spawn *spawn = data;
  for (int i = 0; i < spawn->fd_count; i++) {
    spawn->fds[i] = fcntl(spawn->fds[i], F_DUPFD_CLOEXEC, MAX_FDS + 1);
    if (spawn->fds[i] < 0) _exit(125);
  }
  int executable = fcntl(spawn->executable, F_DUPFD_CLOEXEC, 2 * MAX_FDS + 2);
  for (int i = 0; i < spawn->fd_count; i++) dup2(spawn->fds[i], i);
  syscall(SYS_close_range, spawn->fd_count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  char *argv[] = {spawn->name, NULL}, *envp[] = {NULL};
  syscall(SYS_execveat, executable, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */);
  _exit(126);
}

// spawn(executableFd, name, fds): the pid of a new process that has fds as 0, 1, 2 ..., or -errno.
static napi_value sys_spawn(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  uint32_t fds;
  char name[256];
  struct spawn spawn = {.name = name};
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (napi_get_value_int32(env, values[0], &spawn.executable) != napi_ok ||
      napi_get_value_string_utf8(env, values[1], name, sizeof name, NULL) != napi_ok ||
      napi_get_array_length(env, values[2], &fds) != napi_ok || fds > MAX_FDS) {
    napi_throw_type_error(env, NULL, "spawn(executableFd, name, fds): wrong arguments");
    return NULL;
  }
  spawn.fd_count = (int)fds;
  for (uint32_t i = 0; i < fds; i++) {
    napi_value element;
    napi_get_element(env, values[2], i, &element);
    napi_get_value_int32(env, element, &spawn.fds[i]);
  }
  char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return number(env, -errno);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pid = clone(spawn_child, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &spawn);
  long result = pid < 0 ? -errno : pid;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  munmap(stack, CHILD_STACK);
  return number(env, result);
}

NAPI_MODULE_INIT() {
  const struct { const char *name; napi_callback callback; } functions[] = {
    {"syscall", sys_call}, {"addressOf", address_of}, {"spawn", sys_spawn},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].callback, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
