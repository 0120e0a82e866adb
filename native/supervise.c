// The supervisor of one container or exec: holds its terminal or pipes, writes the log in the CRI format, serves clients
// on a unix socket, reaps, and keeps the exit status in a file. It allocates nothing and outlives the engine.
//
// One chunk of output at a time goes to the log and to every subscribed client; no more is read until all have it, so a
// slow client slows the container instead of losing output.
#include "launch.h"

enum { EAGAIN_ = 11, EINTR_ = 4, POLLIN_ = 1, POLLOUT_ = 4, POLLERR_ = 8, POLLHUP_ = 16 };
enum { MAX_CLIENTS = 12, CHUNK = 32768, LOG_BUFFER = 65536, LINE_PREFIX = 45, INPUT = 8192, PATIENCE_MS = 2000 };
enum { O_CREAT_APPEND = 02102, O_CREAT_TRUNC = 01101, O_NONBLOCK_ = 04000, CLOEXEC_ = 02000000 };

struct client {
  int fd;              // 0: free
  u32 streams;         // STREAM_* bits
  u32 sent;            // of the current chunk, its header included
  u32 have, payload;   // input: bytes of `in` there; bytes of a STDIN frame still to come
  u8 in[sizeof(struct frame) + 8];
  u8 gave_input;
};

struct output {
  int fd;
  u32 line, end;       // data[line..end) is not in the log yet
  u8 data[CHUNK];
};

static const struct supervise *config;
static struct client clients[MAX_CLIENTS];
static struct output outputs[2];  // stdout (or the terminal), stderr
static struct { u8 header[sizeof(struct frame)]; const u8 *data; u32 size; } chunk;  // size 0: nothing is under way
static struct { int fd; u32 start, end; u8 data[INPUT]; int close_after; } input;
static struct { int fd; u32 used; u32 next; u64 size, lost, second; u8 stamp[30]; u8 data[LOG_BUFFER]; } log;
static struct { int ended, status; u64 time; } process;

// ---- the log ----

static void open_log(void) {
  log.fd = (int)SYS(openat, config->log_directory, "log", O_CREAT_APPEND | CLOEXEC_, 0640);
  u8 stat[256], last = '\n';
  log.size = SYS(fstat, log.fd, stat) == 0 ? *(u64 *)(stat + 48) : 0;
  // A supervisor that was killed may have left a torn line.
  if (log.size) SYS(pread64, log.fd, &last, 1, log.size - 1);
  if (last != '\n') log.size += SYS(write, log.fd, "\n", 1) == 1;
}

static char *put_number(char *end, u64 value, int width) {
  for (int i = width - 1; i >= 0; i--, value /= 10) end[i] = (char)('0' + value % 10);
  return end + width;
}

static u32 log_name(char *name, u32 number, const char *suffix) {
  char *at = name;
  u32 digits = 1;
  for (u32 n = number; n >= 10; n /= 10) digits++;
  memcpy(at, "log.", 4);
  at = put_number(at + 4, number, (int)digits);
  while ((*at++ = *suffix++)) {}
  return (u32)(at - name);
}

static void rotate_log(void) {
  char name[32];
  log_name(name, log.next, "");
  SYS(renameat, config->log_directory, "log", config->log_directory, name);
  SYS(close, log.fd);
  if (log.next >= config->log_keep) {
    log_name(name, log.next - config->log_keep, "");
    SYS(unlinkat, config->log_directory, name, 0);
    log_name(name, log.next - config->log_keep, ".gz");
    SYS(unlinkat, config->log_directory, name, 0);
  }
  log.next++;
  open_log();
}

// On a full disk whole lines are dropped and counted; the container goes on.
static void flush_log(void) {
  u32 done = 0;
  if (log.fd < 0) open_log();
  while (done < log.used) {
    long written = SYS(write, log.fd, log.data + done, log.used - done);
    if (written == -EINTR_) continue;
    if (written <= 0) break;
    done += (u32)written;
  }
  if (done < log.used) {
    u32 whole = done;
    while (whole && log.data[whole - 1] != '\n') whole--;
    if (whole < done) SYS(ftruncate, log.fd, log.size + whole);
    done = whole;
  }
  log.size += done;
  log.lost += log.used - done;
  log.used = 0;
  if (config->log_max && log.size >= config->log_max) rotate_log();
}

// "2026-11-24T06:12:16.123456789Z"; the date is worked out once a second (days to civil, Howard Hinnant's algorithm).
static void stamp_time(void) {
  u64 time = now(0), second = time / 1000000000;
  char *stamp = (char *)log.stamp;
  if (second != log.second) {
    u64 days = second / 86400 + 719468, rest = second % 86400;
    u64 era = days / 146097, doe = days % 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    u64 doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;
    memcpy(stamp, "0000-00-00T00:00:00.000000000Z", sizeof log.stamp);
    put_number(stamp, yoe + era * 400 + (month <= 2), 4);
    put_number(stamp + 5, month, 2);
    put_number(stamp + 8, doy - (153 * mp + 2) / 5 + 1, 2);
    put_number(stamp + 11, rest / 3600, 2);
    put_number(stamp + 14, rest / 60 % 60, 2);
    put_number(stamp + 17, rest % 60, 2);
    log.second = second;
  }
  put_number(stamp + 20, time % 1000000000, 9);
}

static void log_line(int stream, char tag, const u8 *text, u32 size) {
  if (log.used + LINE_PREFIX + size + 1 > LOG_BUFFER) flush_log();
  u8 *to = log.data + log.used;
  memcpy(to, log.stamp, 30);
  memcpy(to + 30, stream ? " stderr " : " stdout ", 8);
  to[38] = (u8)tag;
  to[39] = ' ';
  for (u32 i = 0; i < size; i++) to[40 + i] = text[i];  // lines are short: quicker than a string instruction
  to[40 + size] = '\n';
  log.used += 41 + size;
}

// Logs the complete lines of a stream; a line that fills the buffer, or the last one at the end, as a part.
static void log_stream(int stream, int at_end) {
  struct output *out = &outputs[stream];
  if (config->log_directory >= 0 && out->line < out->end) {
    stamp_time();
    u32 i = out->line;
    for (; i < out->end; i++) {
      if (out->data[i] != '\n') continue;
      log_line(stream, 'F', out->data + out->line, i - out->line);
      out->line = i + 1;
    }
    if (out->line < out->end && (at_end || (out->line == 0 && out->end == CHUNK))) {
      log_line(stream, 'P', out->data + out->line, out->end - out->line);
      out->line = out->end;
    }
    flush_log();
  }
  if (config->log_directory < 0) out->line = out->end;
}

// ---- clients ----

static void drop(struct client *client) {
  SYS(close, client->fd);
  if (client->gave_input && config->close_stdin_with_client) input.close_after = 1;
  memset(client, 0, sizeof *client);
}

static int is_behind(const struct client *client) {
  return client->fd && chunk.size && client->sent < sizeof chunk.header + chunk.size;
}

static int any_behind(void) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (is_behind(&clients[i])) return 1;
  }
  return 0;
}

static void send_chunk(struct client *client) {
  while (is_behind(client)) {
    u32 head = sizeof chunk.header, at = client->sent;
    struct { const void *base; u64 size; } parts[2] = {
      {chunk.header + (at < head ? at : head), at < head ? head - at : 0},
      {chunk.data + (at < head ? 0 : at - head), chunk.size - (at < head ? 0 : at - head)}};
    struct { void *name; u64 name_size; void *parts; u64 count; void *control; u64 control_size; u64 flags; } message = {
      0, 0, parts, 2, 0, 0, 0};
    long sent = SYS(sendmsg, client->fd, &message, 0x4040 /* MSG_NOSIGNAL, MSG_DONTWAIT */);
    if (sent == -EINTR_) continue;
    if (sent == -EAGAIN_) return;
    if (sent < 0) drop(client);
    else client->sent += (u32)sent;
  }
}

static void broadcast(u32 type, const u8 *bytes, u32 size) {
  struct frame frame = {type, size};
  memcpy(chunk.header, &frame, sizeof frame);
  chunk.data = bytes;
  chunk.size = size;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    int wanted = type == OUT_EXIT || clients[i].streams >> type & 1;
    clients[i].sent = wanted ? 0 : sizeof frame + size;
    send_chunk(&clients[i]);
  }
}

static void accept_client(void) {
  int fd = (int)SYS(accept4, config->listener, 0, 0, O_NONBLOCK_ | CLOEXEC_);
  if (fd < 0) return;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i].fd) continue;
    clients[i].fd = fd;
    clients[i].sent = ~0U;  // not in the middle of a chunk
    send_report(fd);
    return;
  }
  SYS(close, fd);
}

static void flush_input(void) {
  while (input.fd >= 0 && input.start < input.end) {
    long written = SYS(write, input.fd, input.data + input.start, input.end - input.start);
    if (written == -EAGAIN_) return;
    if (written == -EINTR_) continue;
    if (written <= 0) input.close_after = 1;
    input.start = written <= 0 ? input.end : input.start + (u32)written;
  }
  input.start = input.end = 0;
  // A terminal has no end of input; its master side stays open for the output.
  if (input.close_after && input.fd >= 0 && input.fd != config->terminal) {
    SYS(close, input.fd);
    input.fd = -1;
  }
  input.close_after = 0;
}

static void obey(struct client *client, const struct frame *frame, const u8 *payload) {
  u16 size[4] = {0, 0, 0, 0};
  switch ((enum to_supervisor)frame->type) {
    case IN_STDIN:
      client->payload = frame->size;
      client->gave_input = 1;
      break;
    case IN_CLOSE_STDIN:
      input.close_after = 1;
      break;
    case IN_RESIZE:  // rows, columns as in struct winsize; 0x5414: TIOCSWINSZ
      memcpy(size, payload, 4);
      if (config->terminal >= 0) SYS(ioctl, config->terminal, 0x5414, size);
      break;
    case IN_SUBSCRIBE:
      client->streams = payload[0];
      break;
    case IN_KILL:
      if (!process.ended) SYS(pidfd_send_signal, config->pidfd, payload[0], 0, 0);
      break;
  }
}

// STDIN goes on to the container as it comes; all other frames are small and are gathered whole.
static void read_client(struct client *client) {
  long got;
  if (client->payload) {
    u32 want = client->payload < INPUT ? client->payload : INPUT;
    got = SYS(read, client->fd, input.data, want);
    if (got > 0) {
      client->payload -= (u32)got;
      input.end = (u32)got;
    }
  } else {
    struct frame *frame = (struct frame *)client->in;
    u32 want = sizeof *frame;
    if (client->have >= want && frame->type != IN_STDIN) want += frame->size;
    if (want > sizeof client->in) got = -1;
    else got = want == client->have ? 1 : SYS(read, client->fd, client->in + client->have, want - client->have);
    if (got > 0 && want != client->have) client->have += (u32)got;
    int whole = client->have >= sizeof *frame && (frame->type == IN_STDIN || client->have == sizeof *frame + frame->size);
    if (got > 0 && whole) {
      client->have = 0;
      obey(client, frame, client->in + sizeof *frame);
    }
  }
  if (got == 0 || (got < 0 && got != -EAGAIN_ && got != -EINTR_)) drop(client);
}

// ---- the process ----

static void write_exit_record(void) {
  static u8 text[640];
  char *at = (char *)text;
  u64 fields[4] = {(u64)process.status, process.time, log.lost, 0};
  for (int i = 0; i < 3; i++) {
    at = put_number(at, fields[i], 20);
    *at++ = '\n';
  }
  long read = config->oom >= 0 ? SYS(pread64, config->oom, at, 512, 0) : 0;
  u32 size = (u32)(at - (char *)text) + (u32)(read > 0 ? read : 0);
  int fd = (int)SYS(openat, config->directory, "exit.tmp", O_CREAT_TRUNC | CLOEXEC_, 0600);
  SYS(write, fd, text, size);
  SYS(close, fd);
  SYS(renameat, config->directory, "exit.tmp", config->directory, "exit");
  broadcast(OUT_EXIT, text, size);
}

static void reap(void) {
  int status;
  if (SYS(wait4, config->pid, &status, 1 /* WNOHANG */, 0) != config->pid) return;
  process.ended = 1;
  process.status = status;
  process.time = now(0);
}

// Reads one chunk; at the end (or when nothing comes after the process ended) the stream is closed.
static void read_output(int stream) {
  struct output *out = &outputs[stream];
  if (out->line) {
    memmove(out->data, out->data + out->line, out->end - out->line);
    out->end -= out->line;
    out->line = 0;
  }
  long got = SYS(read, out->fd, out->data + out->end, CHUNK - out->end);
  if (got == -EINTR_ || (got == -EAGAIN_ && !process.ended)) return;
  if (got <= 0) {
    log_stream(stream, 1);
    out->fd = -1;
    return;
  }
  u32 from = out->end;
  out->end += (u32)got;
  log_stream(stream, 0);
  broadcast(stream ? OUT_STDERR : OUT_STDOUT, out->data + from, (u32)got);
}

// ---- the loop ----

struct poll { i32 fd; u16 events, found; };

static void ask(struct poll *poll, int fd, int events) {
  *poll = (struct poll){fd > 0 && events ? fd : -1, (u16)events, 0};
}

static void step(int exiting) {
  struct poll polls[5 + MAX_CLIENTS];
  int behind = any_behind(), input_waits = input.start < input.end;
  if (!behind) chunk.size = 0;
  ask(&polls[0], process.ended ? -1 : config->pidfd, POLLIN_);
  ask(&polls[1], exiting ? -1 : config->listener, POLLIN_);
  ask(&polls[2], behind ? -1 : outputs[0].fd, POLLIN_);
  ask(&polls[3], behind ? -1 : outputs[1].fd, POLLIN_);
  ask(&polls[4], input_waits ? input.fd : -1, POLLOUT_);
  for (int i = 0; i < MAX_CLIENTS; i++) {
    const struct client *client = &clients[i];
    int reads = !(client->payload && input_waits);
    ask(&polls[5 + i], client->fd, (reads ? POLLIN_ : 0) | (is_behind(client) ? POLLOUT_ : 0));
  }
  i64 patience[2] = {PATIENCE_MS / 1000, 0};
  long found = SYS(ppoll, polls, 5 + MAX_CLIENTS, process.ended ? patience : 0, 0, 8);
  if (found == 0) {  // the process is gone and a client takes nothing: go without it
    for (int i = 0; i < MAX_CLIENTS; i++) {
      if (is_behind(&clients[i])) drop(&clients[i]);
    }
  }
  if (found <= 0) return;
  if (polls[1].found) accept_client();
  if (polls[4].found) flush_input();
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (polls[5 + i].found & POLLOUT_) send_chunk(&clients[i]);
    if (clients[i].fd && polls[5 + i].found & ~POLLOUT_) read_client(&clients[i]);
  }
  if (input.end || input.close_after) flush_input();
  if (polls[2].found) read_output(0);
  if (!any_behind() && polls[3].found) read_output(1);
  if (polls[0].found) reap();
}

// What the process left in its pipes is read before its end is told; others may hold the write ends, so without waiting.
static int has_output(void) {
  return outputs[0].fd >= 0 || outputs[1].fd >= 0;
}

static void drain(void) {
  while (has_output()) {
    while (any_behind()) step(1);
    chunk.size = 0;
    for (int i = 0; i < 2; i++) {
      if (outputs[i].fd >= 0 && !any_behind()) read_output(i);
    }
  }
  while (any_behind()) step(1);
}

static void make_nonblocking(int fd) {
  if (fd >= 0) SYS(fcntl, fd, 4 /* F_SETFL */, O_NONBLOCK_ | SYS(fcntl, fd, 3 /* F_GETFL */, 0));
}

_Noreturn void supervise(const struct supervise *with) {
  struct { u64 handler, flags, restorer, mask; } ignore = {1, 0, 0, 0};
  config = with;
  for (int signal = 1; signal < 16; signal++) SYS(rt_sigaction, signal, &ignore, 0, 8);
  outputs[0].fd = config->terminal >= 0 ? config->terminal : config->stdout_fd;
  outputs[1].fd = config->stderr_fd;
  input.fd = config->terminal >= 0 ? config->terminal : config->stdin_fd;
  for (int i = 0; i < 2; i++) make_nonblocking(outputs[i].fd);
  make_nonblocking(input.fd);
  make_nonblocking(FD_ENGINE);
  clients[0] = (struct client){.fd = FD_ENGINE, .streams = config->engine_streams};
  log.next = config->log_next;
  if (config->log_directory >= 0) open_log();
  while (!process.ended) step(0);
  drain();
  write_exit_record();
  while (any_behind()) step(1);
  quit(0);
}
