#include "engine/queue/client/whereabouts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/functions.h"
#include "engine/queue/protocol.h"

static lk_whereabouts_kind kind_of(const lk_redis_reply *reply) {
  static const char *const names[] = {[LK_WHERE_UNSERVED] = "UNSERVED",
                                      [LK_WHERE_QUEUED] = "QUEUED",
                                      [LK_WHERE_HELD] = "HELD",
                                      [LK_WHERE_GONE] = "GONE"};
  size_t length;
  const char *name = lk_redis_reply_string(reply, &length);
  for (int i = LK_WHERE_UNSERVED; name != NULL && i <= LK_WHERE_GONE; i++)
    if (strcmp(name, names[i]) == 0) return (lk_whereabouts_kind)i;
  return LK_WHERE_UNKNOWN;
}

static void read_answer(const lk_redis_reply *reply, lk_whereabouts *where) {
  enum { KIND, QUEUED, WORKER, HELD_MS, LIVES, ELEMENTS };
  size_t length;
  if (lk_redis_reply_elements(reply) != ELEMENTS) return;
  where->kind = kind_of(lk_redis_reply_element(reply, KIND));
  where->queued = (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(reply, QUEUED));
  const char *worker = lk_redis_reply_string(lk_redis_reply_element(reply, WORKER), &length);
  snprintf(where->worker, sizeof where->worker, "%s", worker != NULL ? worker : "?");
  where->held_ms = (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(reply, HELD_MS));
  where->lives = lk_redis_reply_integer(lk_redis_reply_element(reply, LIVES)) == 1;
}

lk_status lk_whereabouts_ask(lk_line *line, const lk_keys *keys, const char *stream, const char *entry,
                             lk_whereabouts *where, lk_error *error) {
  const char *const words[] = {"FCALL", LK_WHERE, "2", stream, keys->workers, LK_GROUP, entry};
  *where = (lk_whereabouts){.kind = LK_WHERE_UNKNOWN};
  lk_redis_reply *reply = lk_line_ask(line, sizeof words / sizeof words[0], words);
  if (reply == NULL) return LK_OK;
  lk_status status = LK_OK;
  if (lk_redis_reply_error(reply) == NULL)
    read_answer(reply, where);
  else if (lk_functions_are_missing(reply))
    where->kind = LK_WHERE_GONE; /* with all else that was in Redis, as far as the client can know */
  else
    status = lk_line_refused(line, "to say where a job is", reply, error);
  lk_redis_reply_free(reply);
  return status;
}

void lk_whereabouts_describe(const lk_whereabouts *where, const char *gallery, const char *probes, lk_error *text) {
  static const char *const lease[] = {"has run out", "is valid"};
  switch (where->kind) {
    case LK_WHERE_UNSERVED:
      lk_fail(text, LK_EDEADLINE, "no worker serves the gallery '%s'", gallery);
      break;
    case LK_WHERE_QUEUED:
      lk_fail(text, LK_EDEADLINE, "%s are queued behind about %" PRIu64 " jobs", probes, where->queued);
      break;
    case LK_WHERE_HELD:
      lk_fail(text, LK_EDEADLINE, "%s: the worker %s took them %" PRIu64 " s ago and has not answered; its lease %s",
              probes, where->worker, where->held_ms / 1000, lease[where->lives]);
      break;
    case LK_WHERE_GONE:
      lk_fail(text, LK_EDEADLINE, "redis lost the job of %s", probes);
      break;
    case LK_WHERE_UNKNOWN:
      lk_fail(text, LK_EDEADLINE, "redis does not say where %s are", probes);
      break;
  }
}
