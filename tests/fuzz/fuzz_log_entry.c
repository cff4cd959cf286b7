#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "engine/worker/log/log_change.h"

static const char id[] = "1700000000000-7";

/* What is read of packed fields can be packed again, to the same bytes. */
static void check_packed(const lk_log_entry *entry) {
  static lk_log_fields fields;
  lk_bytes again = {0};
  if (!lk_log_fields_unpack(entry->fields, entry->fields_bytes, &fields)) abort();
  lk_log_fields_pack(&fields, &again);
  if (again.length != entry->fields_bytes || memcmp(again.data, entry->fields, again.length) != 0) abort();
  lk_bytes_free(&again);
}

static void check_entry(const lk_log_record *record, const lk_log_entry *entry) {
  if (entry->status != LK_OK) {
    if (entry->enrollment != NULL || entry->changes != NULL) abort();
  } else if (entry->enrollment != NULL) {
    if (entry->enrollment->vectors->rows != record->rows || entry->changes != NULL) abort();
  } else if (entry->changes != NULL && entry->count < 1) {
    abort();
  }
  check_packed(entry);
}

/* The vectors' digest is set right, which nobody finds by trying; then the first byte is odd. */
static void set_digest(lk_log_record *record, const char *vectors, size_t size, char hex[LK_LOG_DIGEST_HEX]) {
  unsigned char digest[(LK_LOG_DIGEST_HEX - 1) / 2];
  crypto_generichash(digest, sizeof digest, (const unsigned char *)vectors, size, NULL, 0);
  sodium_bin2hex(hex, LK_LOG_DIGEST_HEX, digest, sizeof digest);
  for (size_t i = 0; i < record->fields.count; i++) {
    lk_field *field = &record->fields.all[i];
    if (field->name.length != 6 || memcmp(field->name.bytes, "digest", 6) != 0) continue;
    field->value = hex;
    field->length = LK_LOG_DIGEST_HEX - 1;
  }
}

/* A byte of choices, one for how many bytes of vectors there are, packed fields, the vectors. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lk_log_fields fields;
  static lk_log_record record;
  static lk_log_change change;
  static lk_log_entry entry;
  char hex[LK_LOG_DIGEST_HEX];
  if (size < 2 || data[1] > size - 2) return 0;
  size_t packed = size - 2 - data[1];
  const char *vectors = (const char *)data + 2 + packed;
  if (!lk_log_fields_unpack((const char *)data + 2, packed, &fields)) return 0;
  if (lk_log_record_read(id, fields.all, fields.count, &record, NULL) != LK_OK) return 0;
  if ((data[0] & 1) != 0) set_digest(&record, vectors, data[1], hex);
  lk_status status = lk_log_change_open(&record, "faces", vectors, data[1], &change, &entry, NULL);
  if (status == LK_OK) check_entry(&record, &entry);
  if (status != LK_OK && status != LK_EFORMAT) abort();
  lk_log_change_close(&change);
  return 0;
}
