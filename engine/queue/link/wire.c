#include "engine/queue/link/wire.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fail.h"
#include "engine/queue/link/socket.h"
#include "engine/queue/link/tls.h"

/* What hiredis is given at once: it moves all that a socket did not take to the front of its memory. */
enum { PIECE = 256 * 1024 };

struct lk_wire {
  redisContext *context;
  lk_place place;
  lk_buffer out; /* commands, of which hiredis has the first `given` bytes */
  size_t length, given;
  uint64_t fed, taken; /* bytes that hiredis was given to read; those of the replies that were taken */
  bool broken;
};

static lk_status fail(lk_wire *wire, const char *why, lk_error *error) {
  char text[LK_PLACE_TEXT];
  wire->broken = true;
  return lk_fail(error, LK_EIO, "redis at %s: %s", lk_place_text(&wire->place, text), why);
}

static lk_status fail_context(lk_wire *wire, lk_error *error) {
  return fail(wire, wire->context->err == REDIS_ERR_IO ? strerror(errno) : wire->context->errstr, error);
}

lk_status lk_wire_open(const lk_place *place, bool tls, const lk_deadline *deadline, lk_wire **wire, lk_error *error) {
  int fd;
  lk_status status = lk_socket_connect(place, deadline, &fd, error);
  if (status != LK_OK) return status;
  lk_wire *opened = calloc(1, sizeof *opened);
  redisContext *context = opened != NULL ? redisConnectFd(fd) : NULL;
  if (context == NULL) {
    free(opened);
    close(fd);
    return lk_fail_memory(error);
  }
  context->flags &= ~REDIS_BLOCK; /* as the socket is */
  *opened = (lk_wire){.context = context, .place = *place};
  lk_error why;
  if (context->err != 0)
    status = fail_context(opened, error);
  else if (tls && lk_tls_start(context, fd, place->host, deadline, &why) != LK_OK)
    status = fail(opened, why.text, error);
  if (status == LK_OK)
    *wire = opened;
  else
    lk_wire_close(opened);
  return status;
}

#define TEXT_OF(number) #number
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *lk_wire_library(void) { return VERSION(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH); }

void lk_wire_close(lk_wire *wire) {
  if (wire == NULL) return;
  redisFree(wire->context);
  lk_buffer_free(&wire->out);
  free(wire);
}

const lk_place *lk_wire_place(const lk_wire *wire) { return &wire->place; }

/* A line of the protocol: a mark, a number, CR and LF. */
enum { HEAD = 24 };

static char *put_head(char *to, char mark, size_t number) { return to + snprintf(to, HEAD, "%c%zu\r\n", mark, number); }

lk_status lk_wire_send(lk_wire *wire, const lk_command *command, lk_error *error) {
  if (wire->broken) return fail(wire, "the connection is broken", error);
  size_t size = HEAD;
  for (size_t i = 0; i < command->count; i++) size += HEAD + command->lengths[i] + 2;
  char *all = command->failed ? NULL : lk_buffer_grow(&wire->out, wire->length + size, 1);
  if (all == NULL) {
    wire->broken = true;
    return lk_fail_memory(error);
  }
  char *end = put_head(all + wire->length, '*', command->count);
  for (size_t i = 0; i < command->count; i++) {
    end = put_head(end, '$', command->lengths[i]);
    if (command->lengths[i] > 0) memcpy(end, command->arguments[i], command->lengths[i]);
    end += command->lengths[i];
    *end++ = '\r';
    *end++ = '\n';
  }
  wire->length = (size_t)(end - all);
  return LK_OK;
}

static lk_status read_some(lk_wire *wire, lk_error *error) {
  size_t before = wire->context->reader->len;
  if (redisBufferRead(wire->context) != REDIS_OK) return fail_context(wire, error);
  wire->fed += wire->context->reader->len - before;
  return LK_OK;
}

/* Waits for `events`, and reads where there is something to read. *came has the events. */
static lk_status wait_for(lk_wire *wire, short events, lk_deadline *deadline, int *came, lk_error *error) {
  *came = lk_socket_wait(wire->context->fd, events, deadline);
  if (*came < 0) return fail(wire, strerror(errno), error);
  if (*came == 0) return fail(wire, "no answer in time", error);
  lk_deadline_extend(deadline);
  return (*came & ~POLLOUT) != 0 ? read_some(wire, error) : LK_OK;
}

static lk_status write_some(lk_wire *wire, int *done, lk_error *error) {
  return redisBufferWrite(wire->context, done) == REDIS_OK ? LK_OK : fail_context(wire, error);
}

/* Reads while it writes: Redis may have to be rid of replies before it reads on. */
static lk_status write_piece(lk_wire *wire, lk_deadline *deadline, lk_error *error) {
  size_t left = wire->length - wire->given, piece = left < PIECE ? left : PIECE;
  if (redisAppendFormattedCommand(wire->context, (const char *)wire->out.data + wire->given, piece) != REDIS_OK)
    return fail_context(wire, error);
  wire->given += piece;
  int done = 0;
  lk_status status = write_some(wire, &done, error);
  while (status == LK_OK && !done) {
    int came;
    status = wait_for(wire, POLLIN | POLLOUT, deadline, &came, error);
    if (status == LK_OK && (came & POLLOUT) != 0) status = write_some(wire, &done, error);
  }
  return status;
}

static lk_status flush(lk_wire *wire, lk_deadline *deadline, lk_error *error) {
  if (wire->broken) return fail(wire, "the connection is broken", error);
  if (lk_deadline_passed(deadline)) return fail(wire, "no answer in time", error);
  lk_status status = LK_OK;
  while (status == LK_OK && wire->given < wire->length) status = write_piece(wire, deadline, error);
  wire->length = wire->given = 0;
  return status;
}

lk_status lk_wire_flush(lk_wire *wire, const lk_deadline *deadline, lk_error *error) {
  lk_deadline moving = *deadline;
  return flush(wire, &moving, error);
}

static lk_status fail_size(lk_wire *wire, size_t most, lk_error *error) {
  char why[64];
  snprintf(why, sizeof why, "a reply is larger than %zu bytes", most);
  return fail(wire, why, error);
}

/* A reply out of what was read; NULL: it has not all come. */
static lk_status parse(lk_wire *wire, size_t most, void **reply, lk_error *error) {
  redisReader *reader = wire->context->reader;
  *reply = NULL;
  if (redisGetReplyFromReader(wire->context, reply) != REDIS_OK) return fail_context(wire, error);
  uint64_t end = *reply != NULL ? wire->fed - (reader->len - reader->pos) : wire->fed;
  if (most > 0 && end - wire->taken > most) {
    freeReplyObject(*reply);
    return fail_size(wire, most, error);
  }
  if (*reply != NULL) wire->taken = end;
  return LK_OK;
}

lk_status lk_wire_receive(lk_wire *wire, const lk_deadline *deadline, size_t most, lk_redis_reply **reply,
                          lk_error *error) {
  void *received = NULL;
  int came;
  lk_deadline moving = *deadline;
  lk_status status = flush(wire, &moving, error);
  if (status == LK_OK) status = parse(wire, most, &received, error);
  while (status == LK_OK && received == NULL) {
    status = wait_for(wire, POLLIN, &moving, &came, error);
    if (status == LK_OK) status = parse(wire, most, &received, error);
  }
  if (status == LK_OK) *reply = received;
  return status;
}

lk_status lk_wire_poll(lk_wire *wire, size_t most, lk_redis_reply **reply, lk_error *error) {
  const lk_deadline now = {0};
  void *received = NULL;
  if (wire->broken) return fail(wire, "the connection is broken", error);
  lk_status status = parse(wire, most, &received, error);
  if (status == LK_OK && received == NULL && lk_socket_wait(wire->context->fd, POLLIN, &now) != 0) {
    status = read_some(wire, error);
    if (status == LK_OK) status = parse(wire, most, &received, error);
  }
  *reply = received;
  return status;
}

lk_status lk_wire_ask(lk_wire *wire, const lk_deadline *deadline, lk_redis_reply **reply, lk_error *error, size_t count,
                      const char *const *words) {
  lk_command command = {0};
  lk_command_add_words(&command, count, words);
  lk_status status = lk_wire_send(wire, &command, error);
  lk_command_free(&command);
  return status == LK_OK ? lk_wire_receive(wire, deadline, 0, reply, error) : status;
}

static const redisReply nil = {.type = REDIS_REPLY_NIL};

static const redisReply *inner(const lk_redis_reply *reply) { return reply != NULL ? (const redisReply *)reply : &nil; }

void lk_redis_reply_free(lk_redis_reply *reply) {
  if (reply != NULL) freeReplyObject(reply);
}

const char *lk_redis_reply_error(const lk_redis_reply *reply) {
  return inner(reply)->type == REDIS_REPLY_ERROR ? inner(reply)->str : NULL;
}

bool lk_redis_reply_is_nil(const lk_redis_reply *reply) { return inner(reply)->type == REDIS_REPLY_NIL; }

bool lk_redis_reply_is_integer(const lk_redis_reply *reply) { return inner(reply)->type == REDIS_REPLY_INTEGER; }

bool lk_redis_reply_is_array(const lk_redis_reply *reply) { return inner(reply)->type == REDIS_REPLY_ARRAY; }

size_t lk_redis_reply_elements(const lk_redis_reply *reply) {
  return lk_redis_reply_is_array(reply) ? inner(reply)->elements : 0;
}

const lk_redis_reply *lk_redis_reply_element(const lk_redis_reply *reply, size_t i) {
  const redisReply *element = i < lk_redis_reply_elements(reply) ? inner(reply)->element[i] : NULL;
  return (const lk_redis_reply *)(element != NULL ? element : &nil);
}

lk_redis_reply *lk_redis_reply_take_element(lk_redis_reply *reply, size_t i) {
  if (i >= lk_redis_reply_elements(reply)) return NULL;
  redisReply *array = (redisReply *)reply, *element = array->element[i];
  array->element[i] = NULL; /* freeReplyObject passes over it */
  return (lk_redis_reply *)element;
}

const char *lk_redis_reply_string(const lk_redis_reply *reply, size_t *length) {
  bool is_string = inner(reply)->type == REDIS_REPLY_STRING || inner(reply)->type == REDIS_REPLY_STATUS;
  *length = is_string ? (size_t)inner(reply)->len : 0;
  return is_string ? inner(reply)->str : NULL;
}

int64_t lk_redis_reply_integer(const lk_redis_reply *reply) {
  if (lk_redis_reply_is_integer(reply)) return inner(reply)->integer;
  size_t length;
  const char *string = lk_redis_reply_string(reply, &length);
  return string != NULL ? strtoll(string, NULL, 10) : 0;
}

static const char *form_of(const lk_redis_reply *reply, char text[64]) {
  switch (inner(reply)->type) {
    case REDIS_REPLY_NIL:
      return "nothing";
    case REDIS_REPLY_INTEGER:
      snprintf(text, 64, "the number %lld", inner(reply)->integer);
      return text;
    case REDIS_REPLY_ARRAY:
      snprintf(text, 64, "a list of %zu elements", inner(reply)->elements);
      return text;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      snprintf(text, 64, "'%.40s'", inner(reply)->str);
      return text;
    default:
      return "something unknown";
  }
}

lk_status lk_redis_reply_unexpected(const lk_redis_reply *reply, const char *command, lk_error *error) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL) return lk_fail(error, LK_EIO, "redis refused %s: %s", command, refused);
  char text[64];
  return lk_fail(error, LK_EIO, "redis answered %s with %s", command, form_of(reply, text));
}
