/* delete, tag, expire and compact. The gallery's owner makes the changes: this process, while the command runs. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/cli/command.h"
#include "engine/cli/receipt.h"
#include "index/formats/id_list.h"
#include "index/live/owner.h"

#define YEAR_10000_MS UINT64_C(253402300800000)

/* One run of a command. */
typedef struct run {
  const lk_options *options;
  const lk_streams *streams;
  lk_id_list list; /* --keys; empty: not given */
  lk_change *changes;
  uint32_t count;
  lk_owner *owner;
  lk_claims claims;
  lk_signing_key key; /* the claims point to it */
} run;

/* ---- what is asked for ---- */

static lk_status check_whose(const lk_options *options, const char *names, lk_error *error) {
  int given = (options->key != NULL) + (options->keys != NULL) + (options->subject != NULL);
  if (given == 1) return LK_OK;
  return lk_fail(error, LK_EINVAL, given == 0 ? "whose templates? Give %s" : "give only one of %s", names);
}

static lk_status check_name(const char *option, const char *value, lk_error *error) {
  const char *fault = value[0] == '\0' ? "is empty" : lk_text_fault(lk_text_of(value));
  return fault == NULL ? LK_OK : lk_fail(error, LK_EINVAL, "%s: '%s' %s", option, value, fault);
}

/* The change `like`, for each of those whom the options name. */
static lk_status make_changes(run *r, lk_change like, lk_error *error) {
  const lk_options *options = r->options;
  lk_status status = LK_OK;
  if (options->keys != NULL) status = lk_id_list_open(options->keys, &r->list, error);
  if (options->key != NULL) status = check_name("--key", options->key, error);
  if (options->subject != NULL) status = check_name("--subject", options->subject, error);
  if (status != LK_OK) return status;
  r->count = options->keys != NULL ? r->list.count : 1;
  r->changes = malloc(r->count * sizeof *r->changes);
  if (r->changes == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < r->count; i++) {
    r->changes[i] = like;
    if (options->keys != NULL) r->changes[i].key = r->list.texts[i];
    if (options->key != NULL) r->changes[i].key = lk_text_of(options->key);
    if (options->subject != NULL) r->changes[i].subject = lk_text_of(options->subject);
  }
  return LK_OK;
}

/* ---- what was done ---- */

static lk_status print_receipt(const run *r, lk_done *done, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(r->owner), &stat);
  if (lk_owner_cut_bytes(r->owner) > 0)
    lk_printable_line(r->streams->log,
                      "%s: cut off %" PRIu64 " bytes of a change that was being written when a process died",
                      r->options->words[0], lk_owner_cut_bytes(r->owner));
  done->folder = r->options->words[0];
  if (done->operation == LK_OPERATION_ERASE) done->epoch = stat.epoch;
  if (done->operation == LK_OPERATION_DELETE) {
    done->in_segments = stat.deleted_in_segments > 0;
    done->in_journal = done->templates > 0 || stat.deleted_in_journals > 0; /* it says at least whom to delete */
  }
  return lk_receipt_print(r->streams->out, r->options->format, done, error);
}

static lk_status make(run *r, lk_operation operation, lk_error *error) {
  lk_receipt receipt;
  lk_status status = lk_owner_change(r->owner, r->changes, r->count, &r->claims, &receipt, error);
  if (status != LK_OK) return status;
  lk_done done = {.operation = operation,
                  .epoch = receipt.epoch,
                  .templates = receipt.templates,
                  .missing = receipt.unchanged,
                  .by_subject = r->options->subject != NULL,
                  .asked = r->changes,
                  .asked_count = r->count,
                  .expires_ms = r->changes[0].expires_ms};
  return print_receipt(r, &done, error);
}

static lk_status erase(run *r, lk_error *error) {
  r->owner->control = r->streams->search;
  lk_done done = {.operation = LK_OPERATION_ERASE};
  lk_status status = lk_owner_compact(r->owner, &r->claims, &done.templates, error);
  return status == LK_OK ? print_receipt(r, &done, error) : status;
}

static void close_run(run *r) {
  lk_owner_close(r->owner);
  free(r->changes);
  lk_id_list_close(&r->list);
  lk_signing_key_forget(&r->key);
}

/* ---- the commands ---- */

static lk_status change(const lk_options *options, const lk_streams *streams, lk_operation operation, lk_change like,
                        lk_error *error) {
  run r = {.options = options, .streams = streams};
  lk_status status = lk_options_check_format(options, "table json", error);
  if (status == LK_OK) status = lk_options_claims(options, &r.claims, &r.key, error);
  if (status == LK_OK) status = make_changes(&r, like, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = lk_owner_open(options->words[0], &r.owner, error);
  if (status == LK_OK) status = make(&r, operation, error);
  close_run(&r);
  return status;
}

lk_status lk_command_delete(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_change like = {.kind = options->subject != NULL ? LK_CHANGE_DELETE_SUBJECT : LK_CHANGE_DELETE_KEY};
  lk_status status = check_whose(options, "--key, --subject or --keys", error);
  return status == LK_OK ? change(options, streams, LK_OPERATION_DELETE, like, error) : status;
}

/* Both must be said: a mask that was taken from the tags could only set them. */
static lk_status check_tags(const lk_options *options, lk_error *error) {
  if (!options->has_tags) return lk_fail(error, LK_EINVAL, "--tags is missing: the new values of the tags in --mask");
  if (!options->has_mask) return lk_fail(error, LK_EINVAL, "--mask is missing: which tags to change");
  if (options->mask == 0) return lk_fail(error, LK_EINVAL, "--mask: 0 changes no tag");
  uint64_t outside = options->tags & ~options->mask;
  if (outside == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL, "--tags: 0x%" PRIx64 " lies outside --mask", outside);
}

lk_status lk_command_tag(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_change like = {.kind = LK_CHANGE_TAG, .tags = options->tags, .mask = options->mask};
  lk_status status = check_whose(options, "--key or --keys", error);
  if (status == LK_OK) status = check_tags(options, error);
  return status == LK_OK ? change(options, streams, LK_OPERATION_TAG, like, error) : status;
}

static lk_status read_at(const char *at, uint64_t *expires_ms, lk_error *error) {
  int64_t ms = 0;
  lk_status status = lk_options_timestamp("--at", at, &ms, error);
  if (status == LK_OK && ms < 1) status = lk_fail(error, LK_EINVAL, "--at: '%s' is not later than 1970-01-01", at);
  *expires_ms = (uint64_t)ms;
  return status;
}

static lk_status read_expiry(const lk_options *options, uint64_t *expires_ms, lk_error *error) {
  bool after = options->after_ms != LK_NEVER;
  int given = (options->at != NULL) + after + options->never;
  if (given != 1)
    return lk_fail(error, LK_EINVAL, given == 0 ? "when? Give %s" : "give only one of %s", "--at, --after or --never");
  *expires_ms = LK_NEVER;
  if (options->at != NULL) return read_at(options->at, expires_ms, error);
  if (!after) return LK_OK;
  uint64_t now_ms = lk_clock_unix_ms();
  if (options->after_ms >= YEAR_10000_MS - now_ms)
    return lk_fail(error, LK_EINVAL, "--after: that is beyond the year 9999");
  *expires_ms = now_ms + options->after_ms;
  return LK_OK;
}

lk_status lk_command_expire(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_change like = {.kind = LK_CHANGE_EXPIRE};
  lk_status status = check_whose(options, "--key or --keys", error);
  if (status == LK_OK) status = read_expiry(options, &like.expires_ms, error);
  return status == LK_OK ? change(options, streams, LK_OPERATION_EXPIRE, like, error) : status;
}

lk_status lk_command_compact(const lk_options *options, const lk_streams *streams, lk_error *error) {
  run r = {.options = options, .streams = streams};
  lk_status status = lk_options_check_format(options, "table json", error);
  if (status == LK_OK) status = lk_options_claims(options, &r.claims, &r.key, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = lk_owner_open(options->words[0], &r.owner, error);
  if (status == LK_OK) status = erase(&r, error);
  close_run(&r);
  return status;
}
