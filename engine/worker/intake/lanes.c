#include "engine/worker/intake/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"

static const uint64_t looks_every_us = 5000000;

static lk_source lane(const lk_lanes *lanes, uint32_t i) {
  return lk_source_of(lanes->keys, i / LK_LANES, (uint32_t)lanes->priority * LK_LANES + i % LK_LANES);
}

static void choose(lk_lanes *lanes) {
  lanes->count = 0;
  for (uint32_t i = 0; i < lanes->all; i++)
    if (!lanes->left_out[i]) lanes->sources[lanes->count++] = lane(lanes, i);
}

lk_status lk_lanes_open(const lk_keys *keys, uint32_t galleries, lk_priority priority, lk_lanes *lanes,
                        lk_error *error) {
  lanes->keys = keys;
  lanes->priority = priority;
  lanes->all = galleries * LK_LANES;
  lanes->sources = calloc(lanes->all, sizeof *lanes->sources);
  lanes->left_out = calloc(lanes->all, sizeof *lanes->left_out);
  if (lanes->sources == NULL || lanes->left_out == NULL) return lk_fail_memory(error);
  choose(lanes);
  return LK_OK;
}

void lk_lanes_close(lk_lanes *lanes) {
  free(lanes->sources);
  free(lanes->left_out);
}

static lk_status send_questions(const lk_lanes *lanes, lk_redis *redis, lk_error *error) {
  lk_command command = {0};
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < lanes->all; i++) {
    lk_command_clear(&command);
    lk_command_add_string(&command, "TYPE");
    lk_command_add_string(&command, lane(lanes, i).key);
    status = lk_redis_send(redis, &command, error);
  }
  lk_command_free(&command);
  return status;
}

/* Where Redis does not say what the key holds, the read will tell. */
static void note(lk_lanes *lanes, uint32_t i, const lk_redis_reply *reply) {
  size_t length;
  const char *kind = lk_redis_reply_string(reply, &length);
  bool leaves = kind != NULL && strcmp(kind, "stream") != 0 && strcmp(kind, "none") != 0;
  if (leaves && !lanes->left_out[i])
    lk_printable_line(lanes->log, "likeness: %s: %s holds a %s, no jobs: it is left out", lanes->stage,
                      lane(lanes, i).key, kind);
  if (!leaves && lanes->left_out[i])
    lk_printable_line(lanes->log, "likeness: %s: %s is read again", lanes->stage, lane(lanes, i).key);
  lanes->left_out[i] = leaves;
}

lk_status lk_lanes_look(lk_lanes *lanes, lk_redis *redis, lk_error *error) {
  lk_status status = send_questions(lanes, redis, error);
  for (uint32_t i = 0; status == LK_OK && i < lanes->all; i++) {
    lk_redis_reply *reply = NULL;
    status = lk_redis_receive(redis, &reply, error);
    if (status == LK_OK) note(lanes, i, reply);
    lk_redis_reply_free(reply);
  }
  choose(lanes);
  lanes->looked_us = lk_clock_us();
  return status;
}

bool lk_lanes_are_due(const lk_lanes *lanes) {
  return lanes->count < lanes->all && lk_clock_us() >= lanes->looked_us + looks_every_us;
}
