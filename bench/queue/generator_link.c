#include "bench/queue/generator_link.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/bench.h"

enum { READ_BYTES = 1 << 18, MOVED_BYTES = 4 << 20 };

void generator_open(generator_link *link, const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
  *link = (generator_link){.file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (link->file < 0 || connect(link->file, (struct sockaddr *)&address, sizeof address) != 0)
    bench_fail("cannot connect to redis");
}

void generator_close(generator_link *link) {
  close(link->file);
  lk_bytes_free(&link->out);
  lk_bytes_free(&link->in);
}

static void add_head(generator_link *link, char type, size_t number) {
  char head[32];
  lk_bytes_append(&link->out, head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", type, number));
}

void generator_begin(generator_link *link, size_t words) { add_head(link, '*', words); }

void generator_add(generator_link *link, const void *bytes, size_t length) {
  add_head(link, '$', length);
  lk_bytes_append(&link->out, bytes, length);
  lk_bytes_append(&link->out, "\r\n", 2);
}

void generator_add_string(generator_link *link, const char *string) { generator_add(link, string, strlen(string)); }

bool generator_has_output(const generator_link *link) { return link->written < link->out.length; }

/* Moves what is left to the front. */
static void compact(lk_bytes *bytes, size_t *done) {
  if (*done == 0) return;
  memmove(bytes->data, bytes->data + *done, bytes->length - *done);
  bytes->length -= *done;
  *done = 0;
}

static bool would_wait(ssize_t moved) { return moved < 0 && (errno == EAGAIN || errno == EINTR); }

static void write_out(generator_link *link) {
  if (link->out.failed) bench_fail("out of memory");
  if (!generator_has_output(link)) return;
  ssize_t sent =
      send(link->file, link->out.data + link->written, link->out.length - link->written, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (would_wait(sent)) return;
  if (sent <= 0) bench_fail("redis closed a connection");
  link->written += (size_t)sent;
  if (link->written == link->out.length || link->written > MOVED_BYTES) compact(&link->out, &link->written);
}

static void read_in(generator_link *link) {
  static char buffer[READ_BYTES];
  compact(&link->in, &link->taken);
  ssize_t got = recv(link->file, buffer, sizeof buffer, MSG_DONTWAIT);
  if (would_wait(got)) return;
  if (got <= 0) bench_fail("redis closed a connection");
  lk_bytes_append(&link->in, buffer, (size_t)got);
  if (link->in.failed) bench_fail("out of memory");
}

void generator_move(generator_link *link) {
  write_out(link);
  read_in(link);
}

/* Reads one part; false: not all of it is there. */
static bool scan(generator_reply *reply, generator_part *part) {
  const char *line = reply->at, *newline = line < reply->end ? memchr(line, '\n', (size_t)(reply->end - line)) : NULL;
  if (newline == NULL) return false;
  *part = (generator_part){.type = *line, .number = strtoll(line + 1, NULL, 10)};
  const char *next = newline + 1;
  if (part->type == '+' || part->type == '-') {
    part->text = line + 1;
    part->length = (size_t)(newline - line) - 2;
  } else if (part->type == '$' && part->number >= 0) {
    if (reply->end - next < part->number + 2) return false;
    part->text = next;
    part->length = (size_t)part->number;
    next += part->number + 2;
  }
  reply->at = next;
  return true;
}

bool generator_take(generator_link *link, generator_reply *reply) {
  if (link->in.length == link->taken) return false;
  const char *begin = link->in.data + link->taken;
  generator_reply rest = {.at = begin, .end = link->in.data + link->in.length};
  generator_part part;
  for (int64_t missing = 1; missing > 0; missing--) {
    if (!scan(&rest, &part)) return false;
    if (part.type == '*' && part.number > 0) missing += part.number;
  }
  *reply = (generator_reply){.at = begin, .end = rest.at};
  link->taken += (size_t)(rest.at - begin);
  return true;
}

bool generator_next(generator_reply *reply, generator_part *part) { return scan(reply, part); }

void generator_fail(const generator_part *part) {
  char text[256];
  snprintf(text, sizeof text, "redis answered: %.*s", (int)part->length, part->text != NULL ? part->text : "");
  bench_fail(text);
}
