#include "bench/queue/wire.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/bench.h"

enum { READ_BYTES = 1 << 18, MOVED_BYTES = 4 << 20 };

void wire_open(wire *w, const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
  *w = (wire){.file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (w->file < 0 || connect(w->file, (struct sockaddr *)&address, sizeof address) != 0)
    bench_fail("cannot connect to redis");
}

void wire_close(wire *w) {
  close(w->file);
  lk_bytes_free(&w->out);
  lk_bytes_free(&w->in);
}

static void add_head(wire *w, char type, size_t number) {
  char head[32];
  lk_bytes_append(&w->out, head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", type, number));
}

void wire_begin(wire *w, size_t words) { add_head(w, '*', words); }

void wire_add(wire *w, const void *bytes, size_t length) {
  add_head(w, '$', length);
  lk_bytes_append(&w->out, bytes, length);
  lk_bytes_append(&w->out, "\r\n", 2);
}

void wire_add_string(wire *w, const char *string) { wire_add(w, string, strlen(string)); }

bool wire_has_output(const wire *w) { return w->written < w->out.length; }

/* Moves what is left to the front. */
static void compact(lk_bytes *bytes, size_t *done) {
  if (*done == 0) return;
  memmove(bytes->data, bytes->data + *done, bytes->length - *done);
  bytes->length -= *done;
  *done = 0;
}

static bool would_wait(ssize_t moved) { return moved < 0 && (errno == EAGAIN || errno == EINTR); }

static void write_out(wire *w) {
  if (w->out.failed) bench_fail("out of memory");
  if (!wire_has_output(w)) return;
  ssize_t sent = send(w->file, w->out.data + w->written, w->out.length - w->written, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (would_wait(sent)) return;
  if (sent <= 0) bench_fail("redis closed a connection");
  w->written += (size_t)sent;
  if (w->written == w->out.length || w->written > MOVED_BYTES) compact(&w->out, &w->written);
}

static void read_in(wire *w) {
  static char buffer[READ_BYTES];
  compact(&w->in, &w->taken);
  ssize_t got = recv(w->file, buffer, sizeof buffer, MSG_DONTWAIT);
  if (would_wait(got)) return;
  if (got <= 0) bench_fail("redis closed a connection");
  lk_bytes_append(&w->in, buffer, (size_t)got);
  if (w->in.failed) bench_fail("out of memory");
}

void wire_move(wire *w) {
  write_out(w);
  read_in(w);
}

/* Reads one part; false: not all of it is there. */
static bool scan(wire_reply *reply, wire_part *part) {
  const char *line = reply->at, *newline = line < reply->end ? memchr(line, '\n', (size_t)(reply->end - line)) : NULL;
  if (newline == NULL) return false;
  *part = (wire_part){.type = *line, .number = strtoll(line + 1, NULL, 10)};
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

bool wire_take(wire *w, wire_reply *reply) {
  if (w->in.length == w->taken) return false;
  const char *begin = w->in.data + w->taken;
  wire_reply rest = {.at = begin, .end = w->in.data + w->in.length};
  wire_part part;
  for (int64_t missing = 1; missing > 0; missing--) {
    if (!scan(&rest, &part)) return false;
    if (part.type == '*' && part.number > 0) missing += part.number;
  }
  *reply = (wire_reply){.at = begin, .end = rest.at};
  w->taken += (size_t)(rest.at - begin);
  return true;
}

bool wire_next(wire_reply *reply, wire_part *part) { return scan(reply, part); }

void wire_fail(const wire_part *part) {
  char text[256];
  snprintf(text, sizeof text, "redis answered: %.*s", (int)part->length, part->text != NULL ? part->text : "");
  bench_fail(text);
}
