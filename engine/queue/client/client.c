#include "engine/queue/client/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/client/job_writer.h"
#include "engine/queue/client/line.h"
#include "engine/queue/client/missing.h"
#include "engine/queue/client/whereabouts.h"
#include "engine/queue/client/window.h"
#include "engine/queue/functions.h"
#include "engine/queue/keys.h"

enum {
  LOOK_US = 500000,         /* a silent queue is looked at so often */
  OUTAGE_TOLD_US = 1000000, /* of a shorter one the user need not know */
  REFUSED_MS = 200,         /* after Redis refused a job for the time being */
  NAP_US = 5000,            /* while the line is down */
  FORGET_AFTER = 32,        /* replies that Redis may forget are worth a call */
};

typedef struct client {
  const lk_client_job *job;
  const lk_client_caller *caller;
  lk_line line;
  lk_keys keys;
  char to[40], reply_key[LK_KEY_SIZE + 40];
  const char *stream;
  lk_window window;
  lk_job_writer writer;
  uint64_t forgotten;           /* Redis keeps no reply to a job before this one */
  uint64_t heard_us, looked_us; /* when the last reply came; when the queue was looked at */
  uint64_t send_us;             /* no job is sent before then, */
  lk_error refused;             /* because Redis refused one; empty: the last one was accepted */
  bool lacks_functions;         /* Redis does */
  bool told_functions, told_unserved, told_outage;
} client;

static void warn(const client *c, const char *text) { c->caller->warn(c->caller->context, text); }

static void refuse(client *c, const char *why, uint64_t ms) {
  lk_fail(&c->refused, LK_EBUSY, "%s", why);
  c->send_us = lk_clock_us() + ms * 1000;
}

/* What lk_submit_5 said of a job. NULL: the line broke. */
static lk_status take_receipt(client *c, uint64_t number, const lk_redis_reply *receipt, lk_error *error) {
  lk_window_job *job = lk_window_job_at(&c->window, number);
  if (receipt == NULL) return LK_OK;
  const char *refused = lk_redis_reply_error(receipt);
  if (refused != NULL && lk_functions_are_missing(receipt)) {
    c->lacks_functions = true;
    return LK_OK;
  }
  if (refused != NULL && lk_redis_reply_refusal(receipt) != LK_EIO)
    return lk_fail(error, lk_redis_reply_refusal(receipt), "redis refused a job: %s", refused);
  size_t length;
  const char *what = NULL, *detail = NULL;
  if (lk_redis_reply_elements(receipt) == 2) {
    what = lk_redis_reply_string(lk_redis_reply_element(receipt, 0), &length);
    detail = lk_redis_reply_string(lk_redis_reply_element(receipt, 1), &length);
  }
  if (refused != NULL) {
    refuse(c, refused, REFUSED_MS);
  } else if (what == NULL || detail == NULL) {
    return lk_redis_reply_unexpected(receipt, LK_SUBMIT, error);
  } else if (strcmp(what, "EBUSY") == 0) {
    refuse(c, "it is nearly full and takes no more jobs", strtoull(detail, NULL, 10));
  } else {
    job->sent = true;
    c->refused.text[0] = '\0';
    if (detail[0] != '\0') snprintf(job->entry, sizeof job->entry, "%s", detail);
  }
  return LK_OK;
}

/* Loads the functions with the first job that waits. A user who may not load them waits until a worker did. */
static lk_status send_with_functions(client *c, lk_error *error) {
  uint64_t number = lk_window_oldest(&c->window);
  lk_error trouble;
  lk_redis_reply *receipt = NULL;
  c->lacks_functions = false;
  lk_status status = lk_job_writer_write(&c->writer, number, error);
  if (status != LK_OK || c->line.redis == NULL) return status;
  if (lk_functions_call(c->line.redis, &c->writer.command, &receipt, &trouble) != LK_OK) {
    lk_line_break(&c->line, trouble.text);
    return LK_OK;
  }
  if (lk_functions_are_forbidden(receipt)) {
    refuse(c, "it does not have the queue's functions, and this user may not load them", REFUSED_MS);
    if (!c->told_functions)
      warn(c, "redis does not have the queue's functions, and this user may not load them; the jobs wait for a worker, "
              "which does");
    c->told_functions = true;
  } else {
    status = take_receipt(c, number, receipt, error);
  }
  lk_redis_reply_free(receipt);
  return status;
}

/* Tells Redis which replies it need not keep any more: those to the jobs from `first` up to `end`, at most
 * LK_WINDOW_MOST. */
static void send_forget(client *c, uint64_t first, uint64_t end) {
  char ids[LK_WINDOW_MOST][24];
  const char *words[4 + LK_WINDOW_MOST] = {"FCALL", LK_FORGET, "1", c->reply_key};
  size_t count = 0;
  for (uint64_t i = first; i < end; i++, count++) {
    snprintf(ids[count], sizeof ids[count], "%" PRIu64, i);
    words[4 + count] = ids[count];
  }
  lk_line_send_words(&c->line, 4 + count, words);
}

/* Sends what is in the window and not sent, all in one go. */
static lk_status send_jobs(client *c, lk_error *error) {
  uint64_t numbers[LK_WINDOW_MOST];
  size_t count = 0;
  lk_status status = LK_OK;
  lk_window_open(&c->window);
  if (c->line.redis == NULL || lk_clock_us() < c->send_us) return LK_OK;
  bool forgets = c->window.first >= c->forgotten + FORGET_AFTER;
  if (forgets) send_forget(c, c->forgotten, c->forgotten + FORGET_AFTER);
  for (uint64_t i = c->window.first; status == LK_OK && i < c->window.opened; i++) {
    const lk_window_job *job = lk_window_job_at(&c->window, i);
    if (job->sent || job->reply != NULL) continue;
    status = lk_job_writer_write(&c->writer, i, error);
    if (status != LK_OK) break;
    lk_line_send(&c->line, &c->writer.command);
    numbers[count++] = i;
  }
  if (forgets) {
    lk_redis_reply *reply = lk_line_receive(&c->line);
    if (reply != NULL) c->forgotten += FORGET_AFTER;
    lk_redis_reply_free(reply);
  }
  for (size_t i = 0; i < count; i++) {
    lk_redis_reply *receipt = lk_line_receive(&c->line);
    lk_status taken = take_receipt(c, numbers[i], receipt, status == LK_OK ? error : NULL);
    lk_redis_reply_free(receipt);
    if (status == LK_OK) status = taken;
  }
  return status == LK_OK && c->lacks_functions ? send_with_functions(c, error) : status;
}

/* Takes what is in the list of replies; where no job is to be sent, waits a moment for the first. */
static lk_status receive(client *c, lk_error *error) {
  char most[12];
  const char *const waits[] = {"BLMPOP", "0.25", "1", c->reply_key, "LEFT", "COUNT", most};
  const char *const now[] = {"LMPOP", "1", c->reply_key, "LEFT", "COUNT", most};
  snprintf(most, sizeof most, "%" PRIu64, c->window.opened - c->window.first);
  bool sends = lk_window_has_unsent(&c->window) && lk_clock_us() >= c->send_us;
  lk_redis_reply *reply = sends ? lk_line_ask(&c->line, sizeof now / sizeof now[0], now)
                                : lk_line_ask(&c->line, sizeof waits / sizeof waits[0], waits);
  lk_status status = LK_OK;
  if (reply == NULL) return LK_OK;
  if (lk_redis_reply_error(reply) != NULL) {
    status = lk_line_refused(&c->line, "to hand over the replies", reply, error);
  } else if (lk_redis_reply_elements(reply) == 2) {
    lk_redis_reply *list = lk_redis_reply_take_element(reply, 1);
    for (size_t i = 0; status == LK_OK && i < lk_redis_reply_elements(list); i++)
      status = lk_window_keep(&c->window, lk_redis_reply_take_element(list, i), error);
    lk_redis_reply_free(list);
    c->heard_us = c->looked_us = lk_clock_us();
  }
  lk_redis_reply_free(reply);
  return status;
}

static void name_probes(const client *c, uint64_t number, char text[64]) {
  uint64_t first = lk_client_job_first(c->job, number);
  snprintf(text, 64, "probes %" PRIu64 " to %" PRIu64, first, first + lk_client_job_probes(c->job, number) - 1);
}

/* Passes a reply on, unless it is an error. */
static lk_status pass_on(client *c, uint64_t number, lk_error *error) {
  lk_reply_reader *reader = &lk_window_job_at(&c->window, number)->reader;
  const lk_reply_head *head = &reader->head;
  uint64_t lists = lk_client_job_lists(c->job, number);
  char probes[64];
  name_probes(c, number, probes);
  if (head->status != LK_OK)
    return lk_fail(error, head->status, "%s: %s: %.*s (%s)", c->job->probes->name, lk_status_name(head->status),
                   (int)head->text.length, head->text.bytes, probes);
  if (head->probes != lists)
    return lk_fail(error, LK_EFORMAT, "a reply has %u lists instead of %" PRIu64, head->probes, lists);
  return c->caller->take(c->caller->context, lk_client_job_first(c->job, number), reader, error);
}

/* Passes on the replies whose turn it is. */
static lk_status pass_on_replies(client *c, lk_error *error) {
  lk_status status = LK_OK;
  while (status == LK_OK && c->window.first < lk_window_oldest(&c->window)) {
    status = pass_on(c, c->window.first, error);
    lk_window_take(&c->window);
  }
  return status;
}

/* Where the oldest job without a reply is. */
static lk_status find_oldest(client *c, lk_whereabouts *where, lk_error *error) {
  const lk_window_job *job = lk_window_job_at(&c->window, lk_window_oldest(&c->window));
  *where = (lk_whereabouts){.kind = job->sent ? LK_WHERE_GONE : LK_WHERE_UNKNOWN};
  if (job->entry[0] == '\0') return LK_OK; /* if it was sent, its reply was pushed again */
  return lk_whereabouts_ask(&c->line, &c->keys, c->stream, job->entry, where, error);
}

/* Looks at a queue that was silent for a while. Warns when no worker serves the gallery: its jobs then wait, and would
 * do so in silence. Sends everything again where Redis lost a job, or its reply is kept but in the list no more. */
static lk_status look(client *c, lk_error *error) {
  uint64_t now_us = lk_clock_us();
  lk_whereabouts where;
  if (c->line.redis == NULL || now_us < c->looked_us + LOOK_US || lk_window_has_unsent(&c->window)) return LK_OK;
  c->looked_us = now_us;
  lk_status status = find_oldest(c, &where, error);
  if (where.kind == LK_WHERE_GONE) lk_window_resend(&c->window);
  bool unserved = where.kind == LK_WHERE_UNSERVED;
  lk_error text;
  lk_fail(&text, LK_EGALLERY, "no worker serves the gallery '%s'; the jobs wait for one", c->job->gallery);
  if (unserved && !c->told_unserved) warn(c, text.text);
  c->told_unserved = unserved;
  return status;
}

/* Keeps the line up; a new one may have lost everything that was sent on the old one. */
static lk_status open_line(client *c, lk_error *error) {
  bool opened;
  lk_status status = lk_line_open(&c->line, &opened, error);
  if (opened) {
    lk_window_resend(&c->window);
    c->told_outage = false;
  }
  if (status != LK_OK || c->line.redis != NULL) return status;
  lk_error text;
  lk_fail(&text, LK_EIO, "%s; trying again", c->line.trouble.text);
  if (!c->told_outage && lk_clock_us() > c->line.down_us + OUTAGE_TOLD_US) {
    c->told_outage = true;
    warn(c, text.text);
  }
  lk_clock_sleep_us(NAP_US);
  return LK_OK;
}

/* Gives up, with all that is known. */
static lk_status fail_late(client *c, lk_error *error) {
  lk_whereabouts where;
  lk_error text;
  char probes[64];
  lk_status status = find_oldest(c, &where, error);
  name_probes(c, lk_window_oldest(&c->window), probes);
  lk_whereabouts_describe(&where, c->job->gallery, probes, &text);
  if (c->line.redis == NULL)
    text = c->line.trouble;
  else if (where.kind == LK_WHERE_UNKNOWN && c->refused.text[0] != '\0')
    lk_fail(&text, LK_EDEADLINE, "redis refused %s: %s", probes, c->refused.text);
  else if (where.kind == LK_WHERE_GONE && c->refused.text[0] != '\0')
    lk_fail(&text, LK_EDEADLINE, "redis lost %s and does not take them again: %s", probes, c->refused.text);
  for (uint64_t i = c->window.first; status == LK_OK && i < c->window.opened; i++)
    if (lk_window_job_at(&c->window, i)->reply != NULL) status = pass_on(c, i, error);
  if (status != LK_OK) return status;
  lk_error list;
  lk_missing_describe(c->job, &c->window, &list);
  warn(c, list.text);
  return lk_fail(error, LK_EDEADLINE, "no reply for %u s: %s", c->job->timeout_s, text.text);
}

static lk_status exchange(client *c, const lk_client_stop *stop, lk_error *error) {
  lk_status status = LK_OK;
  lk_window_open(&c->window);
  while (status == LK_OK && c->window.first < c->window.jobs) {
    status = open_line(c, error);
    if (status == LK_OK) status = receive(c, error);
    if (status == LK_OK) status = pass_on_replies(c, error);
    if (status == LK_OK) status = send_jobs(c, error);
    if (status == LK_OK) status = look(c, error);
    if (status == LK_OK && atomic_load(stop->asked)) status = lk_fail(error, LK_ECANCELLED, "interrupted");
    if (status == LK_OK && lk_clock_us() > c->heard_us + c->job->timeout_s * UINT64_C(1000000))
      status = fail_late(c, error);
  }
  return status;
}

/* Leaves nothing behind: no list, no kept replies, no job that still waits. False: the line broke meanwhile. */
static bool clean_up(client *c, bool cancels) {
  const char *const cancel[] = {"FCALL", LK_CANCEL, "1", c->keys.cancelled, c->to};
  const char *const remove[] = {"DEL", c->reply_key};
  size_t count = cancels ? 2 : 1;
  if (cancels) lk_line_send_words(&c->line, sizeof cancel / sizeof cancel[0], cancel);
  for (uint64_t first = c->forgotten; first < c->window.opened; first += LK_WINDOW_MOST, count++) {
    uint64_t left = c->window.opened - first;
    send_forget(c, first, first + (left < LK_WINDOW_MOST ? left : LK_WINDOW_MOST));
  }
  lk_line_send_words(&c->line, sizeof remove / sizeof remove[0], remove);
  for (; count > 0; count--) lk_redis_reply_free(lk_line_receive(&c->line));
  return c->line.redis != NULL;
}

/* A few tries, if Redis was there a moment ago. */
static void leave(client *c, bool cancels) {
  bool opened, clean = false;
  for (int tries = 3; !clean && tries > 0; tries--) {
    c->line.retry_us = 0;
    if (c->line.redis == NULL && lk_clock_us() > c->line.down_us + OUTAGE_TOLD_US) return;
    if (lk_line_open(&c->line, &opened, NULL) != LK_OK) return;
    clean = clean_up(c, cancels);
  }
}

static lk_status make_client(client *c, const lk_route *route, lk_error *error) {
  const lk_client_job *job = c->job;
  uint64_t random = lk_clock_us();
  if (getrandom(&random, sizeof random, 0) < 0) random ^= (uint64_t)(uintptr_t)c;
  snprintf(c->to, sizeof c->to, "submit-%016" PRIx64, random);
  lk_line_make(&c->line, route, job->timeout_s);
  lk_status status = lk_keys_make(job->gallery, &c->keys, error);
  if (status != LK_OK) return status;
  snprintf(c->reply_key, sizeof c->reply_key, "%s%s", c->keys.replies, c->to);
  c->stream = c->keys.lanes[strcmp(job->priority, "hi") == 0 ? LK_HI : LK_LO][lk_keys_lane(lk_text_of(c->to))];
  enum { CANDIDATE_BYTES = 64 }; /* its fixed part and two short texts */
  size_t job_bytes = (size_t)job->job_probes * job->probes->dim * sizeof(float);
  size_t reply_bytes = (size_t)job->job_probes * job->k * CANDIDATE_BYTES;
  lk_window_make(&c->window, lk_client_job_count(job), job_bytes > reply_bytes ? job_bytes : reply_bytes);
  c->heard_us = c->looked_us = lk_clock_us();
  return lk_job_writer_make(&c->writer, job, c->stream, c->to, error);
}

lk_status lk_client_run(const lk_address *address, const lk_client_job *job, const lk_client_stop *stop,
                        const lk_client_caller *caller, lk_error *error) {
  client *c = calloc(1, sizeof *c);
  if (c == NULL) return lk_fail_memory(error);
  c->job = job;
  c->caller = caller;
  lk_status status = make_client(c, &(lk_route){.address = address, .give_up = stop->give_up}, error);
  if (status == LK_OK) {
    status = exchange(c, stop, error);
    leave(c, status != LK_OK);
  }
  lk_line_close(&c->line);
  lk_window_free(&c->window);
  lk_job_writer_free(&c->writer);
  free(c);
  return status;
}
