#include "index/storage/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/text.h"
#include "governance/binding.h"

enum { ID_DIGITS = 2 * LK_GALLERY_ID_BYTES };

void lk_manifest_segment_name(uint32_t id, char name[LK_SEGMENT_NAME_MAX]) {
  snprintf(name, LK_SEGMENT_NAME_MAX, "segment-%06" PRIu32 ".lks", id);
}

lk_status lk_manifest_name_of(const char *folder, char name[LK_TEXT_MAX + 1], lk_error *error) {
  char resolved[PATH_MAX];
  if (realpath(folder, resolved) == NULL)
    return lk_fail(error, LK_EGALLERY, "%s: no such gallery: %s", folder, strerror(errno));
  const char *base = strrchr(resolved, '/') + 1;
  if (!lk_text_is_name(lk_text_of(base)))
    return lk_fail(error, LK_EINVAL, "%s: invalid name: a gallery's name may have letters, digits, '.', '_' and '-'",
                   folder);
  strcpy(name, base);
  return LK_OK;
}

/* The checksum of a manifest without its own checksum, in compact form with sorted keys. False: out of memory. */
static bool checksum_of(const json_t *bare, char hex[17]) {
  char *text = lk_json_print(bare, JSON_COMPACT | JSON_SORT_KEYS);
  if (text != NULL) snprintf(hex, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
  free(text);
  return text != NULL;
}

static json_t *segment_to_json(const lk_manifest_segment *segment) {
  char checksum[17];
  snprintf(checksum, sizeof checksum, "%016" PRIx64, segment->checksum);
  return json_pack("{s:I, s:I, s:s}", "id", (json_int_t)segment->id, "rows", (json_int_t)segment->rows, "checksum",
                   checksum);
}

/* NULL: out of memory. A list that lacks a segment would lose its templates. */
static json_t *segments_to_json(const lk_manifest *manifest) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < manifest->segments_count; i++)
    if (json_array_append_new(list, segment_to_json(&manifest->segments[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *state_to_json(const lk_manifest_state *state) {
  char checksum[17];
  snprintf(checksum, sizeof checksum, "%016" PRIx64, state->checksum);
  return json_pack("{s:I, s:s}", "id", (json_int_t)state->id, "checksum", checksum);
}

static json_t *journals_to_json(const lk_manifest *manifest) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < manifest->journals_count; i++) {
    const lk_manifest_journal *journal = &manifest->journals[i];
    json_t *entry = json_pack("{s:I, s:I, s:I}", "id", (json_int_t)journal->id, "epoch", (json_int_t)journal->epoch,
                              "sequence", (json_int_t)journal->sequence);
    if (json_array_append_new(list, entry) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static json_t *log_to_json(const lk_manifest_log *log) {
  const lk_log_mark *mark = &log->mark;
  const char *hash = mark->seq > 0 ? mark->hash : LK_LOG_NO_HASH;
  return json_pack("{s:I, s:I, s:I, s:I, s:s, s:I}", "seq", (json_int_t)mark->seq, "ms", (json_int_t)mark->ms, "n",
                   (json_int_t)mark->n, "term", (json_int_t)mark->term, "hash", hash, "seen", (json_int_t)log->seen);
}

/* False: out of memory. */
static bool put(json_t *root, const char *field, json_t *value) { return json_object_set_new(root, field, value) == 0; }

static json_t *to_json(const lk_manifest *manifest) {
  char id[ID_DIGITS + 1], checksum[17];
  sodium_bin2hex(id, sizeof id, manifest->id, sizeof manifest->id);
  json_t *root =
      json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "version", LK_MANIFEST_VERSION, "id", id,
                "metric", lk_metric_name(manifest->metric), "store", lk_store_name(manifest->store), "dim",
                (json_int_t)manifest->dim, "name", manifest->name, "model", manifest->model, "epoch",
                (json_int_t)manifest->epoch, "next_number", (json_int_t)manifest->next_number, "next_file",
                (json_int_t)manifest->next_file, "sequence", (json_int_t)manifest->sequence);
  if (put(root, "segments", segments_to_json(manifest)) && put(root, "journals", journals_to_json(manifest)) &&
      (manifest->state.id == 0 || put(root, "state", state_to_json(&manifest->state))) &&
      (manifest->log.seen == 0 || put(root, "log", log_to_json(&manifest->log))) &&
      (manifest->binding.policy == NULL || put(root, "governance", lk_binding_to_json(&manifest->binding))) &&
      checksum_of(root, checksum) && put(root, "checksum", json_string(checksum)))
    return root;
  json_decref(root);
  return NULL;
}

/* JSON's integers end there. */
static lk_status check_number(const char *name, const char *field, uint64_t number, lk_error *error) {
  if (number <= INT64_MAX) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: '%s' is above %" PRId64, name, field, INT64_MAX);
}

static lk_status check_numbers(const char *name, const lk_manifest *manifest, lk_error *error) {
  lk_status status = check_number(name, "epoch", manifest->epoch, error);
  if (status == LK_OK) status = check_number(name, "next_number", manifest->next_number, error);
  if (status == LK_OK) status = check_number(name, "sequence", manifest->sequence, error);
  for (uint32_t i = 0; status == LK_OK && i < manifest->journals_count; i++) {
    status = check_number(name, "journals[].epoch", manifest->journals[i].epoch, error);
    if (status == LK_OK) status = check_number(name, "journals[].sequence", manifest->journals[i].sequence, error);
  }
  return status;
}

/* Whether what a manifest says of its files fits together. It is asked before a manifest is written, too, so that what
 * is written can be read. */
static lk_status check_files(const char *name, const lk_manifest *manifest, lk_error *error) {
  lk_manifest_journal before = {.id = 0, .epoch = 0, .sequence = manifest->sequence};
  for (uint32_t i = 0; i < manifest->segments_count; i++)
    if (manifest->segments[i].id >= manifest->next_file)
      return lk_fail(error, LK_EFORMAT, "%s: 'segments[%u].id' is not below 'next_file'", name, i);
  if (manifest->state.id >= manifest->next_file)
    return lk_fail(error, LK_EFORMAT, "%s: 'state.id' is not below 'next_file'", name);
  for (uint32_t i = 0; i < manifest->journals_count; i++) {
    const lk_manifest_journal *journal = &manifest->journals[i];
    if (journal->id >= manifest->next_file)
      return lk_fail(error, LK_EFORMAT, "%s: 'journals[%u].id' is not below 'next_file'", name, i);
    if (journal->id <= before.id)
      return lk_fail(error, LK_EFORMAT, "%s: 'journals[%u].id' is not above the id before it", name, i);
    if (journal->epoch < before.epoch)
      return lk_fail(error, LK_EFORMAT, "%s: 'journals[%u].epoch' is below the epoch before it", name, i);
    if (i == 0 ? journal->sequence != before.sequence : journal->sequence < before.sequence)
      return lk_fail(error, LK_EFORMAT, "%s: 'journals[%u].sequence' does not follow 'sequence'", name, i);
    before = *journal;
  }
  return LK_OK;
}

lk_status lk_manifest_give_identity(lk_manifest *manifest, lk_error *error) {
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  while (sodium_is_zero(manifest->id, sizeof manifest->id)) randombytes_buf(manifest->id, sizeof manifest->id);
  return LK_OK;
}

lk_status lk_manifest_write(const lk_folder *folder, lk_manifest *manifest, lk_error *error) {
  char path[PATH_MAX];
  lk_status status = lk_file_join(path, folder->path, LK_MANIFEST_FILE, error);
  if (status == LK_OK) status = check_numbers(path, manifest, error);
  if (status == LK_OK) status = check_files(path, manifest, error);
  if (status == LK_OK) status = lk_manifest_give_identity(manifest, error);
  if (status != LK_OK) return status;
  json_t *root = to_json(manifest);
  char *text = lk_json_print(root, JSON_INDENT(2));
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  status = lk_folder_replace(folder, LK_MANIFEST_FILE, text, strlen(text), error);
  free(text);
  if (status == LK_OK) manifest->version = LK_MANIFEST_VERSION;
  return status;
}

/* An object whose members are read. */
typedef struct source {
  const char *name; /* the file's, for messages */
  char within[32];  /* before a member's name: of an object in an array, "segments[3]." */
  const json_t *object;
  lk_error *error;
} source;

static lk_status refuse(const source *from, const char *field, const char *wanted) {
  return lk_fail(from->error, LK_EFORMAT, "%s: '%s%s' must be %s", from->name, from->within, field, wanted);
}

static lk_status take_number(const source *from, const char *field, uint64_t least, uint64_t most, uint64_t *number) {
  const json_t *value = json_object_get(from->object, field);
  json_int_t taken = json_integer_value(value);
  *number = (uint64_t)taken;
  if (json_is_integer(value) && taken >= 0 && *number >= least && *number <= most) return LK_OK;
  char wanted[80];
  snprintf(wanted, sizeof wanted, "an integer from %" PRIu64 " to %" PRIu64, least, most);
  return refuse(from, field, wanted);
}

static lk_status take_small(const source *from, const char *field, uint32_t least, uint32_t most, uint32_t *number) {
  uint64_t taken;
  lk_status status = take_number(from, field, least, most, &taken);
  *number = (uint32_t)taken;
  return status;
}

/* The text remains the object's. */
static lk_status take_text(const source *from, const char *field, const char **text) {
  *text = json_string_value(json_object_get(from->object, field));
  return *text != NULL && strlen(*text) <= LK_TEXT_MAX ? LK_OK : refuse(from, field, "a text of up to 255 bytes");
}

static lk_status take_hex(const source *from, const char *field, size_t digits, const char **hex) {
  char wanted[32];
  *hex = json_string_value(json_object_get(from->object, field));
  if (*hex != NULL && strlen(*hex) == digits && strspn(*hex, "0123456789abcdef") == digits) return LK_OK;
  snprintf(wanted, sizeof wanted, "%zu hexadecimal digits", digits);
  return refuse(from, field, wanted);
}

static lk_status take_checksum(const source *from, uint64_t *checksum) {
  const char *hex;
  lk_status status = take_hex(from, "checksum", 16, &hex);
  if (status == LK_OK) *checksum = strtoull(hex, NULL, 16);
  return status;
}

static source entry_of(const source *from, const char *list, size_t i) {
  source entry = {.name = from->name, .error = from->error};
  entry.object = json_array_get(json_object_get(from->object, list), i);
  snprintf(entry.within, sizeof entry.within, "%s[%zu].", list, i);
  return entry;
}

static lk_status read_segment(const source *from, lk_manifest_segment *segment) {
  lk_status status = take_small(from, "id", 0, UINT32_MAX, &segment->id);
  if (status == LK_OK) status = take_small(from, "rows", 1, UINT32_MAX, &segment->rows);
  return status == LK_OK ? take_checksum(from, &segment->checksum) : status;
}

static lk_status read_segments(const source *from, lk_manifest *manifest) {
  const json_t *list = json_object_get(from->object, "segments");
  size_t count = json_array_size(list);
  if (!json_is_array(list)) return refuse(from, "segments", "an array");
  manifest->segments = calloc(count + 1, sizeof *manifest->segments);
  if (manifest->segments == NULL) return lk_fail_memory(from->error);
  lk_status status = LK_OK;
  for (size_t i = 0; status == LK_OK && i < count; i++) {
    source entry = entry_of(from, "segments", i);
    status = read_segment(&entry, &manifest->segments[i]);
  }
  manifest->segments_count = (uint32_t)count;
  return status;
}

static lk_status read_state(const source *from, lk_manifest_state *state) {
  source members = {.name = from->name, .within = "state.", .error = from->error};
  members.object = json_object_get(from->object, "state");
  if (members.object == NULL) return LK_OK;
  lk_status status = take_small(&members, "id", 1, UINT32_MAX, &state->id);
  return status == LK_OK ? take_checksum(&members, &state->checksum) : status;
}

static lk_status read_journal(const source *from, lk_manifest_journal *journal) {
  lk_status status = take_small(from, "id", 1, UINT32_MAX, &journal->id);
  if (status == LK_OK) status = take_number(from, "epoch", 0, INT64_MAX, &journal->epoch);
  return status == LK_OK ? take_number(from, "sequence", 0, INT64_MAX, &journal->sequence) : status;
}

static lk_status read_journals(const source *from, lk_manifest *manifest) {
  const json_t *list = json_object_get(from->object, "journals");
  size_t count = json_array_size(list);
  if (!json_is_array(list) || count > LK_MANIFEST_JOURNALS) return refuse(from, "journals", "an array of up to 2");
  lk_status status = LK_OK;
  for (size_t i = 0; status == LK_OK && i < count; i++) {
    source entry = entry_of(from, "journals", i);
    status = read_journal(&entry, &manifest->journals[i]);
  }
  manifest->journals_count = (uint32_t)count;
  return status;
}

static lk_status read_log(const source *from, lk_manifest_log *log) {
  source members = {.name = from->name, .within = "log.", .error = from->error};
  const char *hash;
  members.object = json_object_get(from->object, "log");
  if (members.object == NULL) return LK_OK;
  lk_status status = take_number(&members, "seq", 0, INT64_MAX, &log->mark.seq);
  if (status == LK_OK) status = take_number(&members, "ms", 0, INT64_MAX, &log->mark.ms);
  if (status == LK_OK) status = take_number(&members, "n", 0, INT64_MAX, &log->mark.n);
  if (status == LK_OK) status = take_number(&members, "term", 0, INT64_MAX, &log->mark.term);
  if (status == LK_OK) status = take_number(&members, "seen", log->mark.seq, INT64_MAX, &log->seen);
  if (status == LK_OK) status = take_hex(&members, "hash", LK_LOG_HASH_DIGITS, &hash);
  if (status == LK_OK) strcpy(log->mark.hash, hash);
  if (log->mark.seq == 0) log->mark = (lk_log_mark){0};
  return status;
}

/* What older versions do not have. */
static lk_status read_changes(const source *from, lk_manifest *manifest) {
  const char *id;
  lk_status status = take_hex(from, "id", ID_DIGITS, &id);
  if (status != LK_OK) return status;
  sodium_hex2bin(manifest->id, sizeof manifest->id, id, ID_DIGITS, NULL, NULL, NULL);
  if (sodium_is_zero(manifest->id, sizeof manifest->id)) return refuse(from, "id", "other than zeros");
  status = take_number(from, "sequence", 0, INT64_MAX, &manifest->sequence);
  if (status == LK_OK) status = read_state(from, &manifest->state);
  if (status == LK_OK) status = read_log(from, &manifest->log);
  return status == LK_OK ? read_journals(from, manifest) : status;
}

static lk_status read_texts(const source *from, lk_manifest *manifest) {
  const char *metric, *store, *model, *name = "";
  lk_status status = take_text(from, "metric", &metric);
  if (status == LK_OK) status = take_text(from, "store", &store);
  if (status == LK_OK) status = take_text(from, "model", &model);
  if (status == LK_OK && json_object_get(from->object, "name") != NULL) status = take_text(from, "name", &name);
  if (status != LK_OK) return status;
  if (lk_metric_parse(metric, &manifest->metric, NULL) != LK_OK) return refuse(from, "metric", "a metric");
  if (lk_store_parse(store, &manifest->store, NULL) != LK_OK) return refuse(from, "store", "a store");
  if (name[0] != '\0' && !lk_text_is_name(lk_text_of(name))) return refuse(from, "name", "a gallery's name");
  strcpy(manifest->model, model);
  strcpy(manifest->name, name);
  return LK_OK;
}

static lk_status read_numbers(const source *from, lk_manifest *manifest) {
  const char *next_file = manifest->version < LK_MANIFEST_VERSION ? "next_segment" : "next_file";
  lk_status status = take_small(from, "dim", 1, LK_DIM_MAX, &manifest->dim);
  if (status == LK_OK) status = take_number(from, "epoch", 0, INT64_MAX, &manifest->epoch);
  if (status == LK_OK) status = take_number(from, "next_number", 0, INT64_MAX, &manifest->next_number);
  return status == LK_OK ? take_small(from, next_file, 1, UINT32_MAX, &manifest->next_file) : status;
}

static lk_status read_binding(const source *from, lk_manifest *manifest) {
  json_t *governance = json_object_get(from->object, "governance");
  if (manifest->version < LK_MANIFEST_VERSION &&
      (governance != NULL) != (manifest->version == LK_MANIFEST_VERSION_BOUND))
    return lk_fail(from->error, LK_EFORMAT, "%s: of the versions below %d only %d may and must name a policy",
                   from->name, LK_MANIFEST_VERSION, LK_MANIFEST_VERSION_BOUND);
  return governance == NULL ? LK_OK : lk_binding_from_json(from->name, governance, &manifest->binding, from->error);
}

/* Removes the checksum from `root`. */
static lk_status verify_checksum(const char *name, json_t *root, const char *checksum, lk_error *error) {
  char stored[18], computed[17]; /* one character more, so that a longer text does not match */
  snprintf(stored, sizeof stored, "%s", checksum);
  json_object_del(root, "checksum");
  if (!checksum_of(root, computed)) return lk_fail_memory(error);
  if (strcmp(stored, computed) == 0) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "%s: the checksum does not match", name);
}

/* The version, which says whether the rest can be understood, and the checksum, whether it is what was written. */
static lk_status read_seal(const source *from, json_t *root, uint32_t *version) {
  const char *checksum;
  lk_status status = take_small(from, "version", 0, UINT32_MAX, version);
  if (status == LK_OK) status = take_text(from, "checksum", &checksum);
  if (status != LK_OK) return status;
  if (*version < LK_MANIFEST_VERSION_UNBOUND || *version > LK_MANIFEST_VERSION)
    return lk_fail(from->error, LK_EFORMAT, "%s: manifest version %u; this build reads %d to %d", from->name, *version,
                   LK_MANIFEST_VERSION_UNBOUND, LK_MANIFEST_VERSION);
  return verify_checksum(from->name, root, checksum, from->error);
}

static lk_status from_json(const char *name, json_t *root, lk_manifest *manifest, lk_error *error) {
  source from = {.name = name, .object = root, .error = error};
  lk_status status = read_seal(&from, root, &manifest->version);
  if (status == LK_OK) status = read_texts(&from, manifest);
  if (status == LK_OK) status = read_numbers(&from, manifest);
  if (status == LK_OK && manifest->version == LK_MANIFEST_VERSION) status = read_changes(&from, manifest);
  if (status == LK_OK) status = read_binding(&from, manifest);
  if (status == LK_OK) status = read_segments(&from, manifest);
  return status == LK_OK ? check_files(name, manifest, error) : status;
}

lk_status lk_manifest_parse(const char *name, const void *data, size_t size, lk_manifest *manifest, lk_error *error) {
  *manifest = (lk_manifest){0};
  json_error_t at;
  errno = 0;
  json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &at);
  lk_status status = root != NULL ? from_json(name, root, manifest, error)
                                  : lk_fail(error, LK_EFORMAT, "%s: line %d: %s", name, at.line, at.text);
  /* When jansson is out of memory, it mostly reports a malformed text. */
  if (status != LK_OK && errno == ENOMEM) status = lk_fail_memory(error);
  json_decref(root);
  if (status != LK_OK) lk_manifest_free(manifest);
  return status;
}

lk_status lk_manifest_read(const lk_folder *folder, lk_manifest *manifest, lk_error *error) {
  char path[PATH_MAX];
  lk_file file;
  lk_status status = lk_file_join(path, folder->path, LK_MANIFEST_FILE, error);
  if (status == LK_OK) status = lk_folder_read(folder, LK_MANIFEST_FILE, &file, error);
  if (status != LK_OK) return status;
  status = lk_manifest_parse(path, file.data, file.size, manifest, error);
  lk_file_free(&file);
  if (status == LK_OK && manifest->name[0] == '\0') {
    status = lk_manifest_name_of(folder->path, manifest->name, error);
    if (status != LK_OK) lk_manifest_free(manifest);
  }
  return status;
}

void lk_manifest_free(lk_manifest *manifest) {
  free(manifest->segments);
  lk_binding_free(&manifest->binding);
  *manifest = (lk_manifest){0};
}

lk_journal_header lk_manifest_journal_header(const lk_manifest *manifest, uint32_t i) {
  const lk_manifest_journal *journal = &manifest->journals[i];
  lk_journal_header header = {.metric = manifest->metric,
                              .store = manifest->store,
                              .dim = manifest->dim,
                              .id = journal->id,
                              .epoch = journal->epoch,
                              .sequence = journal->sequence};
  memcpy(header.gallery, manifest->id, sizeof header.gallery);
  return header;
}

void lk_manifest_follow(lk_manifest *manifest, const lk_manifest *next) {
  if (manifest->segments != next->segments) free(manifest->segments);
  manifest->version = next->version;
  memcpy(manifest->id, next->id, sizeof manifest->id);
  manifest->epoch = next->epoch;
  manifest->next_number = next->next_number;
  manifest->next_file = next->next_file;
  manifest->segments = next->segments;
  manifest->segments_count = next->segments_count;
  manifest->state = next->state;
  manifest->sequence = next->sequence;
  memcpy(manifest->journals, next->journals, sizeof manifest->journals);
  manifest->journals_count = next->journals_count;
  manifest->log = next->log;
}
