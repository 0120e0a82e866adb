// Connections one after another, each with one byte.
// usage: connections serve PORT            answers each connection with a byte and closes it
//        connections ask ADDRESS PORT N    makes N, and prints the nanoseconds that all took
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in address(const char *host, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) errx(1, "no address: %s", host);
  return to;
}

static int serve(const char *port) {
  struct sockaddr_in at = address("0.0.0.0", port);
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 128)) err(1, "listen");
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) err(1, "accept");
    if (write(client, "x", 1) < 0) warn("write");
    close(client);
  }
}

static void ask_once(const struct sockaddr_in *to, int done) {
  char byte;
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (server < 0) err(1, "socket");
  if (connect(server, (const struct sockaddr *)to, sizeof *to)) err(1, "connection %d", done + 1);
  if (read(server, &byte, 1) != 1) errx(1, "closed without a byte");
  if (read(server, &byte, 1) != 0) errx(1, "more than a byte");
  close(server);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **words) {
  if (count == 3 && !strcmp(words[1], "serve")) return serve(words[2]);
  if (count != 5 || strcmp(words[1], "ask")) errx(2, "usage: connections serve PORT | ask ADDRESS PORT N");
  struct sockaddr_in to = address(words[2], words[3]);
  int64_t begin = now();
  for (int done = 0; done < atoi(words[4]); done++) ask_once(&to, done);
  printf("%lld\n", (long long)(now() - begin));
}
