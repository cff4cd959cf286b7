#include "tests/index/journal/history.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/formats/element.h"

lk_journal_header history_header(void) {
  lk_journal_header header = {
      .metric = LK_COSINE, .store = LK_STORE_F32, .dim = HISTORY_DIM, .id = 1, .epoch = 70, .sequence = 900};
  memcpy(header.gallery, "sixteen bytes id", sizeof header.gallery);
  return header;
}

static lk_text draw_text(random_state *random, char *room, uint32_t least) {
  uint32_t length = random_one_in(random, 10) ? LK_TEXT_MAX : least + random_below(random, 12);
  for (uint32_t i = 0; i < length; i++) room[i] = (char)('a' + random_below(random, 26));
  return (lk_text){.bytes = length > 0 ? room : NULL, .length = length};
}

/* Elements from 1 to 100, in any type. */
static void draw_vector(random_state *random, history_change *change) {
  static const lk_element elements[] = {LK_F32, LK_F64, LK_F16, LK_U8, LK_I16, LK_U64};
  static const uint16_t halves[] = {0x3c00, 0x4000, 0xc200};
  lk_element element = elements[random_below(random, 6)];
  for (uint32_t i = 0; i < HISTORY_DIM; i++) {
    uint32_t drawn = 1 + random_below(random, 100);
    char *at = change->vector + i * lk_element_bytes(element);
    if (element == LK_F32) memcpy(at, &(float){(float)drawn}, 4);
    if (element == LK_F64) memcpy(at, &(double){drawn}, 8);
    if (element == LK_F16) memcpy(at, &halves[drawn % 3], 2);
    if (element == LK_U8) memcpy(at, &(uint8_t){(uint8_t)drawn}, 1);
    if (element == LK_I16) memcpy(at, &(int16_t){(int16_t)drawn}, 2);
    if (element == LK_U64) memcpy(at, &(uint64_t){drawn}, 8);
  }
  change->record.element = element;
  change->record.vector = change->vector;
}

void history_draw(random_state *random, history_change *change) {
  lk_record *record = &change->record;
  *record = (lk_record){.kind = (lk_record_kind)(LK_RECORD_ENROLL + random_below(random, 5))};
  record->version = random_one_in(random, 2) ? 0 : random_bits(random);
  if (record->kind == LK_RECORD_DELETE_SUBJECT || record->kind == LK_RECORD_ENROLL)
    record->subject = draw_text(random, change->subject, 1);
  if (record->kind != LK_RECORD_DELETE_SUBJECT) record->key = draw_text(random, change->key, 1);
  if (record->kind == LK_RECORD_TAG) record->mask = random_bits(random) | 1;
  if (record->kind == LK_RECORD_TAG) record->tags = random_bits(random) & record->mask;
  if (record->kind == LK_RECORD_EXPIRE || record->kind == LK_RECORD_ENROLL)
    record->expires_ms = random_one_in(random, 2) ? LK_NEVER : 1 + random_bits(random) / 2;
  if (record->kind != LK_RECORD_ENROLL) return;
  record->number = random_bits(random) >> 1;
  record->tags = random_bits(random);
  record->group = draw_text(random, change->group, 0);
  record->metadata_bytes = random_below(random, 3) * 128;
  for (uint32_t i = 0; i < record->metadata_bytes; i++) change->metadata[i] = (char)random_bits(random);
  record->metadata = record->metadata_bytes > 0 ? change->metadata : NULL;
  draw_vector(random, change);
}

bool history_equal(const lk_record *a, const lk_record *b) {
  size_t vector = HISTORY_DIM * (size_t)lk_element_bytes(a->element);
  return a->kind == b->kind && a->version == b->version && a->number == b->number && a->tags == b->tags &&
         a->mask == b->mask && a->expires_ms == b->expires_ms && lk_text_equal(a->key, b->key) &&
         lk_text_equal(a->subject, b->subject) && lk_text_equal(a->group, b->group) && a->element == b->element &&
         a->metadata_bytes == b->metadata_bytes &&
         (a->metadata_bytes == 0 || memcmp(a->metadata, b->metadata, a->metadata_bytes) == 0) &&
         (a->vector == NULL) == (b->vector == NULL) && (a->vector == NULL || memcmp(a->vector, b->vector, vector) == 0);
}

lk_status history_add(history_model *history, random_state *random, lk_journal *journal, uint32_t count,
                      uint64_t *sequence, lk_error *error) {
  lk_record records[HISTORY_BATCH_MAX];
  uint64_t last, epoch;
  history->changes = realloc(history->changes, (history->count + count) * sizeof *history->changes);
  history_change **drawn = history->changes + history->count;
  for (uint32_t i = 0; i < count; i++) {
    drawn[i] = malloc(sizeof *drawn[i]);
    history_draw(random, drawn[i]);
    records[i] = drawn[i]->record;
  }
  lk_status status = lk_journal_add(journal, records, count, &last, &epoch, error);
  for (uint32_t i = 0; i < count; i++)
    if (status == LK_OK)
      drawn[i]->epoch = epoch;
    else
      free(drawn[i]);
  if (status != LK_OK) return status;
  history->count += count;
  cr_assert_eq(last, history_header().sequence + history->count);
  if (sequence != NULL) *sequence = last;
  return LK_OK;
}

lk_status history_visit(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  (void)error;
  history_model *model = context;
  cr_assert_lt(model->visited, model->count, "more changes than were made");
  const history_change *expected = model->changes[model->visited++];
  cr_assert_eq(sequence, history_header().sequence + model->visited);
  cr_assert_eq(epoch, expected->epoch);
  cr_assert(history_equal(record, &expected->record), "change %u is another one", model->visited);
  return LK_OK;
}

bool history_is_batch_end(const history_model *history, uint32_t count) {
  return count == 0 || count == history->count ||
         (count < history->count && history->changes[count - 1]->epoch != history->changes[count]->epoch);
}

void history_cut(history_model *history, uint32_t count) {
  while (history->count > count) free(history->changes[--history->count]);
}

void history_free(history_model *history) {
  history_cut(history, 0);
  free(history->changes);
  history->changes = NULL;
}

lk_journal *history_open(history_model *history, const lk_folder *folder, lk_journal_report *report) {
  lk_journal_header header = history_header();
  lk_journal *journal = NULL;
  lk_error error = {0};
  if (faccessat(folder->fd, "journal-000001.lkj", F_OK, 0) != 0)
    cr_assert_eq(lk_journal_create(folder, &header, &error), LK_OK, "%s", error.text);
  history->visited = 0;
  cr_assert_eq(lk_journal_open(folder, &header, history_visit, history, report, &journal, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(report->records, history->visited);
  return journal;
}
