#include "tests/index/live/log_book.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { FIRST_MS = 1000000 };

void book_open(book *b) {
  *b = (book){.entries = calloc(BOOK_ENTRIES, sizeof(book_entry))};
  cr_assert_not_null(b->entries);
}

void book_close(book *b) {
  free(b->entries);
  *b = (book){0};
}

static void put_hash(const book_entry *e, char hash[LK_LOG_HASH_DIGITS + 1]) {
  snprintf(hash, LK_LOG_HASH_DIGITS + 1, "%08x%016" PRIx64 "%016" PRIx64, 0xabcu, e->entry.mark.seq, e->entry.mark.ms);
}

book_entry *book_add(book *b, uint64_t ms) {
  cr_assert_lt(b->count, BOOK_ENTRIES);
  book_entry *e = &b->entries[b->count++];
  const lk_log_mark before = book_mark(b, b->count - 1);
  snprintf(e->entry.prev, sizeof e->entry.prev, "%s", b->count > 1 ? before.hash : LK_LOG_NO_HASH);
  e->entry.mark = (lk_log_mark){.ms = ms, .n = b->count, .seq = b->count, .term = 3};
  put_hash(e, e->entry.mark.hash);
  snprintf(e->fields, sizeof e->fields, "fields of %u", b->count);
  e->entry.fields = e->fields;
  e->entry.fields_bytes = strlen(e->fields);
  return e;
}

void book_enroll(book *b, book_entry *e, random_state *random, uint32_t rows) {
  for (uint32_t i = 0; i < rows * BOOK_DIM; i++) e->numbers[i] = (float)random_normal(random);
  e->vectors = files_vectors(e->numbers, rows, BOOK_DIM);
  e->enrollment = (lk_enrollment){.vectors = &e->vectors, .labels = e->labels};
  e->entry.enrollment = &e->enrollment;
  e->entry.number = b->number;
  b->number += rows;
}

static lk_text draw_text(char text[16], random_state *random, const char *form, uint32_t most) {
  snprintf(text, 16, form, (unsigned)random_below(random, most));
  return lk_text_of(text);
}

/* Soon after the entry, so that others meet what has expired, or never. */
static uint64_t draw_expiry(uint64_t ms, random_state *random) {
  return random_below(random, 3) == 0 ? ms + random_below(random, 100) : LK_NEVER;
}

static void draw_rows(book *b, book_entry *e, random_state *random) {
  uint32_t rows = 1 + random_below(random, BOOK_ROWS);
  book_enroll(b, e, random, rows);
  e->enrollment.replace = random_below(random, 2) == 0;
  for (uint32_t i = 0; i < rows; i++) {
    lk_label *label = &e->labels[i];
    *label = (lk_label){.tags = random_below(random, 8), .expires_ms = draw_expiry(e->entry.mark.ms, random)};
    /* Some keys are what a number may be. */
    uint32_t kind = random_below(random, 6);
    if (kind < 3) label->key = draw_text(e->texts[i], random, "k%u", BOOK_KEYS);
    if (kind == 3) label->key = draw_text(e->texts[i], random, "%u", 2 * BOOK_ENTRIES);
    if (random_below(random, 3) > 0) label->subject = draw_text(e->texts[BOOK_ROWS + i], random, "s%u", BOOK_KEYS / 2);
    if (random_below(random, 3) == 0) label->version = 1 + random_below(random, 3);
  }
  if (random_below(random, 12) == 0) e->numbers[0] = 0.0F / 0.0F;
}

static void draw_changes(book_entry *e, random_state *random) {
  static const lk_change_kind kinds[] = {LK_CHANGE_DELETE_KEY, LK_CHANGE_DELETE_SUBJECT, LK_CHANGE_TAG,
                                         LK_CHANGE_EXPIRE, LK_CHANGE_EXPIRE};
  lk_change_kind kind = kinds[random_below(random, 5)];
  e->entry.changes = e->changes;
  e->entry.count = 1 + random_below(random, BOOK_ROWS);
  for (uint32_t i = 0; i < e->entry.count; i++) {
    lk_change *change = &e->changes[i];
    *change = (lk_change){.kind = kind};
    if (kind == LK_CHANGE_DELETE_SUBJECT)
      change->subject = draw_text(e->texts[i], random, "s%u", BOOK_KEYS / 2);
    else
      change->key = draw_text(e->texts[i], random, "k%u", BOOK_KEYS);
    if (kind == LK_CHANGE_TAG) change->mask = change->tags = 1 + random_below(random, 7);
    if (kind == LK_CHANGE_EXPIRE) change->expires_ms = draw_expiry(e->entry.mark.ms, random);
  }
}

void book_draw(book *b, random_state *random) {
  uint64_t ms = (b->count > 0 ? b->entries[b->count - 1].entry.mark.ms : FIRST_MS) + random_below(random, 20);
  book_entry *e = book_add(b, ms);
  uint32_t kind = random_below(random, 16);
  if (kind < 9) {
    draw_rows(b, e, random);
  } else if (kind < 14) {
    draw_changes(e, random);
  } else if (kind == 14) {
    e->entry.status = LK_EBADJOB;
    snprintf(e->entry.error.text, sizeof e->entry.error.text, "no job, said who read entry %u", b->count);
  }
}

lk_log_mark book_mark(const book *b, uint64_t seq) {
  return seq > 0 ? b->entries[seq - 1].entry.mark : (lk_log_mark){0};
}

lk_status book_apply(const book *b, lk_owner *owner, uint64_t first, uint64_t last, lk_log_entry *out,
                     lk_error *error) {
  lk_log_entry room[BOOK_ENTRIES], *entries = out != NULL ? out : room;
  for (uint64_t seq = first; seq <= last; seq++) entries[seq - first] = b->entries[seq - 1].entry;
  return lk_owner_log_apply(owner, entries, (uint32_t)(last + 1 - first), error);
}

static void print_row(FILE *out, const lk_part *part, uint32_t row, uint64_t now_ms) {
  lk_template t = lk_part_template(part, row);
  const float *vector = (const float *)part->segment.block.exact + (size_t)row * BOOK_DIM;
  if (!lk_part_lives(part, row) || t.expires_ms <= now_ms) return;
  fprintf(out, "%" PRIu64 " '%.*s' '%.*s' tags %" PRIu64 " until %" PRIu64 " version %" PRIu64 ":", t.number,
          (int)t.key.length, t.key.bytes, (int)t.subject.length, t.subject.bytes, t.tags, t.expires_ms, t.version);
  for (int i = 0; i < BOOK_DIM; i++) fprintf(out, " %a", (double)vector[i]);
  fprintf(out, "\n");
}

char *book_print(const lk_gallery *gallery, uint64_t now_ms) {
  char *text = NULL;
  size_t size;
  lk_sight sight = {0};
  FILE *out = open_memstream(&text, &size);
  cr_assert_not_null(out);
  lk_contents_enter(gallery->contents, &sight);
  for (uint32_t i = 0; i < sight.catalog->parts_count; i++)
    for (uint32_t row = 0; row < sight.catalog->parts[i]->segment.block.rows; row++)
      print_row(out, sight.catalog->parts[i], row, now_ms);
  lk_contents_leave(gallery->contents);
  lk_sight_free(&sight);
  fclose(out);
  return text;
}

char **book_history(const book *b, const char *path, lk_log_entry *outcomes) {
  lk_gallery_options options = {.dim = BOOK_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  char **history = calloc(b->count + 1, sizeof *history);
  lk_owner *owner;
  lk_log_entry out;
  lk_error error;
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  cr_assert_eq(lk_owner_open(path, &owner, NULL), LK_OK);
  history[0] = book_print(lk_owner_gallery(owner), 0);
  for (uint64_t seq = 1; seq <= b->count; seq++) {
    cr_assert_eq(book_apply(b, owner, seq, seq, &out, &error), LK_OK, "entry %d: %s", (int)seq, error.text);
    history[seq] = book_print(lk_owner_gallery(owner), book_mark(b, seq).ms);
    if (outcomes != NULL) outcomes[seq - 1] = out;
  }
  lk_owner_close(owner);
  files_remove_folder(path);
  return history;
}

void book_history_free(const book *b, char **history) {
  for (uint32_t i = 0; i <= b->count; i++) free(history[i]);
  free(history);
}

bool book_same_outcome(const lk_log_entry *a, const lk_log_entry *b) {
  const lk_receipt *x = &a->receipt, *y = &b->receipt;
  return a->status == b->status && (a->status == LK_OK || strcmp(a->error.text, b->error.text) == 0) &&
         x->numbered_from == y->numbered_from && x->templates == y->templates && x->replaced == y->replaced &&
         x->unchanged == y->unchanged;
}
