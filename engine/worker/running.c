#include "engine/worker/running.h"

#include <string.h>

#include "engine/queue/functions.h"

/* How long a note may take to leave, and how many may be on their way: an answer that is late disturbs nobody. */
enum { LEAVES_MS = 5, UNREAD_MOST = 256 };

void lk_running_init(lk_running *running, uint32_t threads, const char *consumer, lk_redis_session session) {
  pthread_mutex_init(&running->lock, NULL);
  pthread_cond_init(&running->changed, NULL);
  running->threads = threads;
  for (uint32_t i = 0; i < LK_RUNNING_MOST; i++) {
    lk_running_batch *batch = &running->batches[i];
    batch->session = session;
    batch->refusals = (lk_refusal_log){.stage = session.stage, .log = session.log};
    snprintf(batch->field, sizeof batch->field, "%s/%u", consumer, i);
  }
}

void lk_running_destroy(lk_running *running) {
  for (uint32_t i = 0; i < LK_RUNNING_MOST; i++) {
    lk_redis_session_close(&running->batches[i].session);
    lk_bytes_free(&running->batches[i].text);
  }
  pthread_cond_destroy(&running->changed);
  pthread_mutex_destroy(&running->lock);
}

static void judge(lk_running_batch *batch, const lk_redis_reply *reply) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL) lk_refusal_log_say(&batch->refusals, LK_RUN, refused);
  lk_refusal_log_end_round(&batch->refusals);
}

/* Reads the answers to earlier notes that have come. False: the connection is broken, too many have not come, or Redis
 * has not got the function. */
static bool read_answers(lk_running_batch *batch) {
  for (; batch->unread > 0; batch->unread--) {
    lk_redis_reply *reply = NULL;
    lk_error error;
    if (lk_redis_poll(batch->session.redis, &reply, &error) != LK_OK) return false;
    if (reply == NULL) return batch->unread < UNREAD_MOST;
    bool missing = lk_functions_are_missing(reply);
    if (!missing) judge(batch, reply);
    lk_redis_reply_free(reply);
    if (missing) return false;
  }
  return true;
}

static bool send_note(lk_running_batch *batch, const lk_keys *keys, const char *text) {
  lk_command command = {0};
  lk_error error;
  lk_functions_begin(&command, LK_RUN, "1");
  lk_command_add_string(&command, keys->running);
  lk_command_add_string(&command, batch->field);
  lk_command_add_string(&command, text);
  lk_status status = lk_redis_send(batch->session.redis, &command, &error);
  if (status == LK_OK) status = lk_redis_flush(batch->session.redis, &error);
  lk_command_free(&command);
  batch->unread++;
  return status == LK_OK;
}

/* The batch before may have been of another gallery, which then has none of this thread any more. */
static bool send_notes(lk_running_batch *batch, const lk_keys *before) {
  if (!read_answers(batch)) return false;
  if (before != NULL && before != batch->keys && !send_note(batch, before, "")) return false;
  return send_note(batch, batch->keys, batch->text.data);
}

static void write_text(lk_bytes *text, const lk_keys *keys, const lk_task *tasks) {
  text->length = 0;
  for (const lk_task *task = tasks; task != NULL; task = lk_task_next(task)) {
    if (task->status != LK_OK) continue;
    const char *stream = lk_keys_short(keys, task->stream);
    if (text->length > 0) lk_bytes_append(text, "\n", 1);
    lk_bytes_append(text, stream, strlen(stream));
    lk_bytes_append(text, " ", 1);
    lk_bytes_append(text, task->entry, strlen(task->entry));
  }
  lk_bytes_append(text, "", 1);
}

void lk_running_note(lk_running *running, uint32_t thread, const lk_keys *keys, const lk_task *tasks) {
  lk_running_batch *batch = &running->batches[thread];
  pthread_mutex_lock(&running->lock);
  const lk_keys *before = batch->keys;
  batch->text.failed = false;
  write_text(&batch->text, keys, tasks);
  batch->keys = batch->text.failed ? NULL : keys;
  bool works = batch->works;
  pthread_mutex_unlock(&running->lock);
  if (!works || batch->keys == NULL || send_notes(batch, before)) return;
  pthread_mutex_lock(&running->lock);
  batch->works = false;
  pthread_cond_signal(&running->changed);
  pthread_mutex_unlock(&running->lock);
}

/* Connects again, and notes the batch that runs: with the functions loaded, or as a script. */
static bool mend(lk_running_batch *batch, const lk_keys *keys, const char *text) {
  lk_error error;
  lk_redis_session_close(&batch->session);
  batch->unread = 0;
  if (lk_redis_session_open(&batch->session, &error) != LK_OK) return false;
  if (keys != NULL) {
    const char *const words[] = {LK_RUN, "1", keys->running, batch->field, text};
    lk_redis_reply *reply = NULL;
    if (lk_functions_call_words(batch->session.redis, &reply, &error, sizeof words / sizeof words[0], words) != LK_OK) {
      lk_redis_session_broke(&batch->session, &error);
      return false;
    }
    judge(batch, reply);
    lk_redis_reply_free(reply);
  }
  lk_redis_session_works(&batch->session);
  lk_redis_set_timeout(batch->session.redis, LEAVES_MS);
  return true;
}

static lk_running_batch *find_broken(lk_running *running) {
  for (uint32_t i = 0; i < running->threads; i++)
    if (!running->batches[i].works) return &running->batches[i];
  return NULL;
}

/* Notes the batch that has begun since `text` of the gallery with the keys `before` was noted. */
static bool catch_up(lk_running_batch *batch, const lk_keys *before, const lk_bytes *text) {
  if (batch->keys == NULL) return true;
  bool same = batch->keys == before && batch->text.length == text->length &&
              memcmp(batch->text.data, text->data, text->length) == 0;
  return same || send_notes(batch, before);
}

void lk_running_keep(lk_running *running) {
  lk_bytes text = {0};
  pthread_mutex_lock(&running->lock);
  while (!running->over) {
    lk_running_batch *batch = find_broken(running);
    if (batch == NULL) {
      pthread_cond_wait(&running->changed, &running->lock);
      continue;
    }
    const lk_keys *keys = batch->keys;
    text.length = 0;
    lk_bytes_append(&text, batch->text.data, batch->text.length);
    pthread_mutex_unlock(&running->lock);
    bool works = mend(batch, text.failed ? NULL : keys, text.data);
    pthread_mutex_lock(&running->lock);
    batch->works = works && catch_up(batch, keys, &text);
  }
  pthread_mutex_unlock(&running->lock);
  lk_bytes_free(&text);
}

void lk_running_end(lk_running *running) {
  pthread_mutex_lock(&running->lock);
  running->over = true;
  pthread_cond_signal(&running->changed);
  pthread_mutex_unlock(&running->lock);
}
