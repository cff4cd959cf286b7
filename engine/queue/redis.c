#include "engine/queue/redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum { CALL_MS = 30000, TURNS_MOST = 5 };

struct lk_redis {
  lk_route *route;
  lk_wire *wire; /* NULL: a turn led nowhere */
  uint32_t timeout_ms;
  size_t reply_limit;
  lk_route own; /* of lk_redis_open */
  lk_address address;
};

static lk_status open_by(lk_redis *opened, lk_redis **redis, lk_error *error) {
  opened->timeout_ms = CALL_MS;
  lk_status status = lk_route_open(opened->route, &opened->wire, error);
  if (status == LK_OK)
    *redis = opened;
  else
    lk_redis_close(opened);
  return status;
}

lk_status lk_redis_open_route(lk_route *route, lk_redis **redis, lk_error *error) {
  lk_redis *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  opened->route = route;
  return open_by(opened, redis, error);
}

lk_status lk_redis_open(const lk_address *address, lk_redis **redis, lk_error *error) {
  lk_redis *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  opened->address = *address;
  opened->own.address = &opened->address;
  opened->route = &opened->own;
  return open_by(opened, redis, error);
}

void lk_redis_close(lk_redis *redis) {
  if (redis == NULL) return;
  lk_wire_close(redis->wire);
  free(redis);
}

void lk_redis_set_timeout(lk_redis *redis, uint32_t ms) { redis->timeout_ms = ms; }

void lk_redis_set_reply_limit(lk_redis *redis, size_t bytes) { redis->reply_limit = bytes; }

static lk_deadline deadline_of(const lk_redis *redis) {
  return lk_deadline_of_silence(redis->timeout_ms, redis->route->give_up);
}

static lk_status fail_without(const lk_redis *redis, lk_error *error) {
  return lk_fail(error, LK_EIO, "redis at %s: there is no connection", redis->route->address->text);
}

lk_status lk_redis_send(lk_redis *redis, const lk_command *command, lk_error *error) {
  return redis->wire != NULL ? lk_wire_send(redis->wire, command, error) : fail_without(redis, error);
}

lk_status lk_redis_flush(lk_redis *redis, lk_error *error) {
  lk_deadline deadline = deadline_of(redis);
  return redis->wire != NULL ? lk_wire_flush(redis->wire, &deadline, error) : fail_without(redis, error);
}

static lk_status fail_turn(lk_turn turn, const lk_place *from, const lk_redis_reply *reply, lk_error *error) {
  char name[LK_PLACE_TEXT];
  const char *what = turn == LK_TURN_AWAY ? "cannot serve the queue" : "sends us elsewhere";
  return lk_fail(error, LK_EIO, "redis at %s %s: %s", lk_place_text(from, name), what, lk_redis_reply_error(reply));
}

/* What was sent ahead follows no turn. */
static lk_status take(const lk_redis *redis, lk_redis_reply *received, lk_redis_reply **reply, lk_error *error) {
  lk_place to;
  lk_status status = LK_OK;
  const lk_place *from = lk_wire_place(redis->wire);
  lk_turn turn = lk_route_turn(redis->route, received, from, &to);
  if (turn != LK_TURN_NONE) status = fail_turn(turn, from, received, error);
  if (status == LK_OK)
    *reply = received;
  else
    lk_redis_reply_free(received);
  return status;
}

lk_status lk_redis_receive(lk_redis *redis, lk_redis_reply **reply, lk_error *error) {
  if (redis->wire == NULL) return fail_without(redis, error);
  lk_deadline deadline = deadline_of(redis);
  lk_redis_reply *received = NULL;
  lk_status status = lk_wire_receive(redis->wire, &deadline, redis->reply_limit, &received, error);
  return status == LK_OK ? take(redis, received, reply, error) : status;
}

lk_status lk_redis_poll(lk_redis *redis, lk_redis_reply **reply, lk_error *error) {
  *reply = NULL;
  if (redis->wire == NULL) return fail_without(redis, error);
  lk_redis_reply *received = NULL;
  lk_status status = lk_wire_poll(redis->wire, redis->reply_limit, &received, error);
  return status == LK_OK && received != NULL ? take(redis, received, reply, error) : status;
}

/* A call on its way: the place that answered last. */
typedef struct call {
  lk_redis *redis;
  const lk_command *command;
  lk_deadline deadline;
  lk_place from;
  lk_redis_reply *reply;
} call;

static lk_status exchange(call *c, lk_wire *wire, lk_error *error) {
  lk_redis_reply_free(c->reply);
  c->reply = NULL;
  c->from = *lk_wire_place(wire);
  lk_status status = lk_wire_send(wire, c->command, error);
  if (status != LK_OK) return status;
  return lk_wire_receive(wire, &c->deadline, c->redis->reply_limit, &c->reply, error);
}

static lk_status go_over(call *c, const lk_place *to, lk_error *error) {
  lk_redis *redis = c->redis;
  lk_wire_close(redis->wire);
  redis->wire = NULL;
  lk_status status = lk_route_follow(redis->route, to, &c->deadline, &redis->wire, error);
  return status == LK_OK ? exchange(c, redis->wire, error) : status;
}

static lk_status ask_there(call *c, const lk_place *to, lk_error *error) {
  const char *const asking[] = {"ASKING"};
  lk_wire *wire = NULL;
  lk_redis_reply *reply = NULL;
  lk_status status = lk_route_follow(c->redis->route, to, &c->deadline, &wire, error);
  if (status == LK_OK) status = lk_wire_ask(wire, &c->deadline, &reply, error, 1, asking);
  lk_redis_reply_free(reply); /* a node that refuses to be asked says MOVED to what follows */
  if (status == LK_OK) status = exchange(c, wire, error);
  lk_wire_close(wire);
  return status;
}

static lk_status take_turns(call *c, lk_error *error) {
  lk_place to;
  for (int turns = 0;; turns++) {
    lk_turn turn = lk_route_turn(c->redis->route, c->reply, &c->from, &to);
    if (turn == LK_TURN_NONE) return LK_OK;
    if (turn == LK_TURN_AWAY || turns == TURNS_MOST) return fail_turn(turn, &c->from, c->reply, error);
    lk_status status = turn == LK_TURN_MOVED ? go_over(c, &to, error) : ask_there(c, &to, error);
    /* A password that this node refuses is no reason to end: another node took it. */
    if (status != LK_OK) return status == LK_EPOLICY ? LK_EIO : status;
  }
}

lk_status lk_redis_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error) {
  if (redis->wire == NULL) return fail_without(redis, error);
  call c = {.redis = redis, .command = command, .deadline = deadline_of(redis)};
  lk_status status = exchange(&c, redis->wire, error);
  if (status == LK_OK) status = take_turns(&c, error);
  if (status == LK_OK)
    *reply = c.reply;
  else
    lk_redis_reply_free(c.reply);
  return status;
}

lk_status lk_redis_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                              const char *const *words) {
  lk_command command = {0};
  lk_command_add_words(&command, count, words);
  lk_status status = lk_redis_call(redis, &command, reply, error);
  lk_command_free(&command);
  return status;
}
