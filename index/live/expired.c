#include "index/live/expired.h"

#include <stdlib.h>

#include "base/fail.h"
#include "index/live/queue.h"

enum { AT_ONCE = 4096 };

static bool has_expired(const lk_part *part, uint32_t row, uint64_t now_ms) {
  return lk_part_lives(part, row) && lk_part_template(part, row).expires_ms <= now_ms;
}

/* Meanwhile somebody may have put another template in the place of one that has expired, or given it more time. */
static lk_status delete_some(lk_owner *owner, const lk_sight *sight, const lk_change *changes, uint32_t count,
                             lk_error *error) {
  lk_request request = {.changes = changes, .count = count, .expired_ms = sight->now_ms};
  if (count == 0) return LK_OK;
  lk_queue_pass(owner, &request);
  return request.status == LK_OK ? LK_OK : lk_fail(error, request.status, "%s", request.error.text);
}

static lk_status delete_all(lk_owner *owner, const lk_sight *sight, lk_change *changes, lk_error *error) {
  lk_status status = LK_OK;
  uint32_t count = 0;
  for (uint32_t i = 0; i < sight->catalog->parts_count; i++) {
    const lk_part *part = sight->catalog->parts[i];
    for (uint32_t r = 0; status == LK_OK && r < part->segment.block.rows; r++) {
      if (!has_expired(part, r, sight->now_ms)) continue;
      changes[count++] = (lk_change){.kind = LK_CHANGE_DELETE_KEY, .key = lk_part_template(part, r).key};
      if (count < AT_ONCE) continue;
      status = delete_some(owner, sight, changes, count, error);
      count = 0;
    }
  }
  return status == LK_OK ? delete_some(owner, sight, changes, count, error) : status;
}

lk_status lk_expired_delete(lk_owner *owner, lk_error *error) {
  lk_sight sight = {0};
  lk_change *changes = malloc(AT_ONCE * sizeof *changes);
  if (changes == NULL) return lk_fail_memory(error);
  lk_contents_enter(owner->gallery->contents, &sight);
  const lk_log_mark *log = &owner->gallery->contents->log;
  if (log->seq > 0 && log->ms < sight.now_ms) sight.now_ms = log->ms;
  lk_contents_leave(owner->gallery->contents);
  lk_status status = delete_all(owner, &sight, changes, error);
  lk_sight_free(&sight);
  free(changes);
  return status;
}
