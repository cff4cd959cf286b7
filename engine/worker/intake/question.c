#include "engine/worker/intake/question.h"

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/reply_text.h"
#include "index/gallery/list.h"
#include "index/gallery/unchecked.h"

static lk_status list(lk_task *task, lk_error *error) {
  const lk_job_page *asked = &task->job.page;
  lk_gallery_page page;
  lk_status status = lk_gallery_page_open(task->gallery, asked->cursor, asked->count, &page, error);
  if (status != LK_OK) return status;
  const lk_reply_list told = {.epoch = page.sight.epoch,
                              .templates = page.templates,
                              .count = page.count,
                              .more = page.more,
                              .next = page.next};
  lk_reply_list_print(&told, &task->answer.text);
  task->answer.epoch = page.sight.epoch;
  task->answer.total = page.sight.living;
  task->answer.templates = page.count;
  status = lk_gallery_page_check(&page, error);
  lk_gallery_page_close(&page);
  return status;
}

static void stat_of(lk_task *task) {
  lk_gallery_stat gallery;
  lk_log_mark mark = lk_gallery_log_mark(task->gallery);
  lk_gallery_stat_get(task->gallery, &gallery);
  const lk_reply_stat told = {.gallery = &gallery,
                              .expired = lk_gallery_count_expired(task->gallery),
                              .log = {.ms = mark.ms, .sequence = mark.n}};
  lk_reply_stat_print(&told, &task->answer.text);
  task->answer.epoch = gallery.epoch;
  task->answer.total = gallery.templates;
}

lk_status lk_question_answer(lk_task *task, lk_error *error) {
  int64_t late_us = (int64_t)lk_clock_us() - task->deadline_us;
  if (late_us >= 0)
    return lk_fail(error, LK_EDEADLINE, "the deadline passed %lld ms before the job began", (long long)late_us / 1000);
  lk_status status = LK_OK;
  if (task->job.op == LK_OP_LIST)
    status = list(task, error);
  else
    stat_of(task);
  if (status == LK_OK && task->answer.text.failed) status = lk_fail_memory(error);
  if (status != LK_OK) {
    lk_bytes_free(&task->answer.text);
    return LK_EINTERNAL;
  }
  atomic_fetch_add(task->delivery->held, task->answer.text.length);
  return LK_OK;
}
