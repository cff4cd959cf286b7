/* Writes one good file of each binary format, for the fuzzers to start from: seeds FOLDER, with a folder in it for each
 * target. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/audit.h>
#include "base/text.h"
#include "engine/queue/reply.h"
#include "engine/worker/log/log_fields.h"
#include "governance/calibration.h"
#include "index/journal/journal.h"
#include "index/journal/log_mark.h"
#include "index/journal/log_note.h"
#include "index/portable/portable_writer.h"
#include "index/storage/manifest.h"
#include "index/storage/segment.h"
#include "index/storage/state.h"
#include "tests/support/zip.h"

static const char *root;

static const char *place(const char *target, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", root, target);
  mkdir(path, 0777);
  snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
  return path;
}

static const lk_folder *open_folder(const char *target) {
  static lk_folder folder = {.fd = -1};
  lk_folder_close(&folder);
  if (lk_folder_open(place(target, ""), &folder, NULL) != LK_OK) exit(1);
  return &folder;
}

static void save(const char *target, const char *name, const void *data, size_t size) {
  FILE *file = fopen(place(target, name), "wb");
  if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) exit(1);
}

static void save_text(const char *target, const char *name, const char *text) {
  save(target, name, text, strlen(text));
}

static void save_npy(const char *name, int version, const char *header) {
  char image[256] = "\x93NUMPY";
  size_t length = strlen(header), start = version == 1 ? 10 : 12;
  image[6] = (char)version;
  image[8] = (char)length;
  memcpy(image + start, header, length);
  save("fuzz_npy", name, image, start + length + 24);
}

static void save_vecs(const char *target, const char *name, int32_t dim, int rows, size_t element_size) {
  char image[256] = {0};
  size_t stride = sizeof dim + (size_t)dim * element_size;
  for (int r = 0; r < rows; r++) {
    memcpy(image + (size_t)r * stride, &dim, sizeof dim);
    memset(image + (size_t)r * stride + sizeof dim, 0x40 + r, stride - sizeof dim);
  }
  save(target, name, image, (size_t)rows * stride);
}

static void save_npz(void) {
  static zip_image zip;
  char npy[256];
  size_t size = zip_make_npy(npy, "'<f4'", "(2, 2)", (float[]){1, 2, 3, 4}, 4 * sizeof(float));
  zip_add(&zip, "a.npy", npy, size, ZIP_DEFLATED);
  zip_end(&zip, false);
  save("fuzz_npz", "deflated", zip.bytes, zip.size);
  zip = (zip_image){0};
  zip_add(&zip, "a.npy", npy, size, ZIP_WIDE);
  zip_end(&zip, true);
  save("fuzz_npz", "wide", zip.bytes, zip.size);
}

static void save_hdf5(const char *name, bool chunked) {
  static const hsize_t shape[] = {4, 2}, chunk[] = {2, 2};
  static const float rows[] = {1, 2, 3, 4, 5, 6, 7, 8};
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, shape, NULL);
  if (chunked && (H5Pset_chunk(plist, 2, chunk) < 0 || H5Pset_deflate(plist, 6) < 0)) exit(1);
  hid_t file = H5Fcreate(place("fuzz_hdf5", name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t set = H5Dcreate2(file, "rows", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  if (H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) < 0) exit(1);
  if (H5Dclose(set) < 0 || H5Fclose(file) < 0 || H5Sclose(space) < 0 || H5Pclose(plist) < 0) exit(1);
}

static void save_label_arrays(void) {
  char npy[256];
  save("fuzz_labels", "texts", npy,
       zip_make_npy(npy, "'<U2'", "(3,)", "a\0\0\0b\0\0\0c\0\0\0\0\0\0\0d\0\0\0\0\0\0", 24));
  save("fuzz_labels", "bytes", npy, zip_make_npy(npy, "'|S3'", "(3, 1)", "ab\0c\0\0def", 9));
  save("fuzz_labels", "numbers", npy, zip_make_npy(npy, "'>i2'", "(3,)", "\0\1\xff\xff\0\7", 6));
}

static void save_segment(const char *name, lk_metric metric, const float *rows) {
  lk_template templates[3] = {
      {.number = 0, .key = lk_text_of("a"), .subject = lk_text_of("s"), .group = lk_text_of("g"), .tags = 5},
      {.number = 1,
       .key = lk_text_of("b"),
       .subject = lk_text_of("s"),
       .version = 3,
       .expires_ms = 7,
       .metadata = lk_text_of("m")},
      {.number = 2, .key = lk_text_of("c"), .subject = lk_text_of("t")}};
  const char *faults[3];
  lk_segment_content content = {.metric = metric,
                                .vectors = {.name = "", .data = rows, .rows = 3, .dim = 2, .element = LK_F32},
                                .rows = 3,
                                .templates = templates,
                                .faults = faults};
  lk_pool *pool;
  uint64_t checksum;
  if (lk_pool_open(1, &pool, NULL) != LK_OK ||
      lk_segment_write(open_folder("fuzz_segment"), name, &content, pool, &checksum, NULL) != LK_OK)
    exit(1);
  lk_pool_close(pool);
}

/* One of an older version: without the last sections, and with a shorter header, whose checksum the target sets right.
 */
static void save_older_segment(const char *name, uint32_t version, lk_metric metric, const char *from) {
  enum { MOVED = 128, BEHIND_HEADER = 448 }; /* bytes by which sections begin earlier; where the first one begins */
  lk_file file;
  lk_segment_header header;
  if (lk_file_read(place("fuzz_segment", from), &file, NULL) != LK_OK) exit(1);
  memcpy(&header, file.data, sizeof header);
  header.version = version;
  header.metric = metric;
  for (lk_section s = 0; s < LK_SECTION_EXPIRES; s++) header.sections[s].offset -= MOVED;
  size_t size = header.sections[LK_SECTION_BY_NUMBER].offset + header.sections[LK_SECTION_BY_NUMBER].bytes;
  char *image = calloc(1, size);
  if (image == NULL) exit(1);
  memcpy(image, &header, lk_segment_checksum_offset(version));
  memcpy(image + BEHIND_HEADER, (const char *)file.data + BEHIND_HEADER + MOVED, size - BEHIND_HEADER);
  save("fuzz_segment", name, image, size);
  free(image);
  lk_file_free(&file);
}

/* A segment of version 2 under cosine is one of rows of length 1 under ip, but for its header. */
static void save_older_segments(void) {
  save_segment("unit", LK_IP, (float[]){0.6F, 0.8F, 1, 0, -0.8F, 0.6F});
  save_older_segment("older-2", LK_SEGMENT_NORMALISED, LK_COSINE, "unit");
  save_older_segment("older-3", LK_SEGMENT_LASTING, LK_IP, "unit");
}

static lk_record log_record(void) {
  static uint64_t bytes[64];
  lk_log_note note = {
      .mark = {.ms = 9, .n = 1, .seq = 1, .term = 2, .hash = "0123456789abcdef0123456789abcdef01234567"},
      .prev = LK_LOG_NO_HASH,
      .number = 7,
      .rows = 1,
      .status = LK_EEXIST,
      .text = "text",
      .text_bytes = 4,
      .fields = "fields",
      .fields_bytes = 6};
  lk_log_note_encode(&note, bytes);
  return (lk_record){.kind = LK_RECORD_LOG, .note = bytes, .note_bytes = lk_log_note_bytes(&note)};
}

/* A record of each kind, in three groups. */
static void save_journal(void) {
  const lk_folder *folder = open_folder("fuzz_journal");
  lk_journal_header header = {.metric = LK_COSINE, .store = LK_STORE_F16, .dim = 2, .id = 1, .epoch = 5};
  lk_record records[] = {
      {.kind = LK_RECORD_ENROLL,
       .key = lk_text_of("k"),
       .subject = lk_text_of("s"),
       .group = lk_text_of("g"),
       .expires_ms = LK_NEVER,
       .metadata = "m",
       .metadata_bytes = 1,
       .element = LK_U8,
       .vector = "\1\2"},
      {.kind = LK_RECORD_TAG, .key = lk_text_of("k"), .tags = 1, .mask = 3},
      {.kind = LK_RECORD_EXPIRE, .key = lk_text_of("k"), .expires_ms = 7, .version = 9},
      log_record(),
      {.kind = LK_RECORD_DELETE_KEY, .key = lk_text_of("k")},
      {.kind = LK_RECORD_DELETE_SUBJECT, .subject = lk_text_of("s")},
      {.kind = LK_RECORD_SEAL, .number = 2},
  };
  lk_journal_report report;
  lk_journal *journal;
  uint64_t sequence;
  if (lk_journal_create(folder, &header, NULL) != LK_OK ||
      lk_journal_open(folder, &header, NULL, NULL, &report, &journal, NULL) != LK_OK)
    exit(1);
  for (int i = 0; i < 4; i++) {
    static const int first[] = {0, 2, 5, 6, 7};
    uint32_t count = (uint32_t)(first[i + 1] - first[i]);
    if (lk_journal_add(journal, records + first[i], count, &sequence, NULL, NULL) != LK_OK) exit(1);
    if (i > 0 && lk_journal_commit(journal, sequence, NULL) != LK_OK) exit(1);
  }
  lk_journal_close(journal);
}

static void save_state(void) {
  static const lk_state_entry entries[] = {{.segment = 1, .row = 3, .died = 2, .expires_ms = LK_NEVER},
                                           {.segment = 2, .died = LK_NEVER, .expires_ms = 5, .tags = 1}};
  uint64_t checksum;
  if (lk_state_write(open_folder("fuzz_state"), 7, (uint8_t[LK_GALLERY_ID_BYTES]){0}, entries, 2, &checksum, NULL) !=
      LK_OK)
    exit(1);
}

static void save_portable(const char *name, uint32_t store, const void *rows, size_t row_bytes) {
  lk_portable_header header = {.metric = LK_L2,
                               .store = store,
                               .dim = 2,
                               .templates = 2,
                               .epoch = 3,
                               .next_number = 9,
                               .name = "g",
                               .model = "m"};
  lk_template templates[] = {{.number = 1, .key = lk_text_of("a"), .subject = lk_text_of("s"), .expires_ms = LK_NEVER},
                             {.number = 5,
                              .key = lk_text_of("b"),
                              .subject = lk_text_of("s"),
                              .group = lk_text_of("g"),
                              .tags = 5,
                              .version = 2,
                              .expires_ms = 7,
                              .metadata = lk_text_of("m")}};
  lk_output output;
  lk_portable_writer writer;
  if (lk_output_open(open_folder("fuzz_portable"), name, &output, NULL) != LK_OK ||
      lk_portable_writer_open(&output, &header, &writer, NULL) != LK_OK)
    exit(1);
  for (int i = 0; i < 2; i++)
    if (lk_portable_writer_add(&writer, &templates[i], (const char *)rows + (size_t)i * row_bytes, NULL) != LK_OK)
      exit(1);
  if (lk_portable_writer_end(&writer, NULL) != LK_OK || lk_output_finish(&output, NULL) != LK_OK) exit(1);
  lk_portable_writer_close(&writer);
  lk_output_close(&output);
}

static void save_older_manifest(void) {
  save_text("fuzz_manifest", "older",
            "{\"version\": 1, \"metric\": \"cosine\", \"dim\": 2, \"store\": \"f32\", \"model\": \"\", \"epoch\": 1, "
            "\"next_number\": 5, \"next_segment\": 2, \"segments\": [{\"id\": 1, \"rows\": 5, \"checksum\": "
            "\"00000000000000ff\"}], \"checksum\": \"\"}");
}

static void save_manifest(void) {
  lk_manifest_segment segments[2] = {{.id = 1, .rows = 5, .checksum = 7}, {.id = 2, .rows = 1, .checksum = 8}};
  lk_manifest manifest = {.metric = LK_L2,
                          .dim = 12,
                          .model = "m",
                          .epoch = 2,
                          .next_number = 6,
                          .next_file = 6,
                          .segments = segments,
                          .segments_count = 2,
                          .state = {.id = 3, .checksum = 9},
                          .sequence = 7,
                          .journals = {{.id = 4, .epoch = 1, .sequence = 7}, {.id = 5, .epoch = 2, .sequence = 8}},
                          .journals_count = 2,
                          .log = {.mark = {.ms = 5, .n = 1, .seq = 3, .term = 1, .hash = LK_LOG_NO_HASH}, .seen = 4}};
  char folder[4096], written[4200], kept[4200];
  snprintf(folder, sizeof folder, "%s/fuzz_manifest", root);
  snprintf(written, sizeof written, "%s/" LK_MANIFEST_FILE, folder);
  snprintf(kept, sizeof kept, "%s/bound", folder);
  manifest.binding = (lk_binding){.policy = "p.yaml", .calibration = "/c.json", .audit = "log", .audit_key = "key"};
  if (lk_manifest_write(open_folder("fuzz_manifest"), &manifest, NULL) != LK_OK || rename(written, kept) != 0) exit(1);
  manifest.binding = (lk_binding){0};
  if (lk_manifest_write(open_folder("fuzz_manifest"), &manifest, NULL) != LK_OK) exit(1);
}

/* A log in one file and its head: the second seed is of another kind. */
static void save_audit(void) {
  char folder[4096], file[4200], lock[4200], head[LK_AUDIT_HEAD_MAX];
  lk_audit_record record = {.type = LK_AUDIT_DECISION,
                            .id = lk_text_of("d"),
                            .signed_hash = lk_text_of("a0"),
                            .entry = lk_text_of("q:lo 5-1"),
                            .rules = {lk_text_of("r")}};
  lk_audit *audit;
  snprintf(folder, sizeof folder, "%s.log", root);
  snprintf(file, sizeof file, "%s/audit-000001.log", folder);
  snprintf(lock, sizeof lock, "%s/" LK_FOLDER_LOCK, folder);
  record.rules_count = 1;
  if (lk_audit_open(folder, &(lk_audit_options){0}, &audit, NULL) != LK_OK ||
      lk_audit_append(audit, &record, NULL, NULL) != LK_OK || lk_audit_head(audit, head, NULL) != LK_OK ||
      lk_audit_close(audit, NULL) != LK_OK || rename(file, place("fuzz_audit", "log")) != 0 || unlink(lock) != 0 ||
      rmdir(folder) != 0)
    exit(1);
  save_text("fuzz_audit", "head", head);
}

static void save_calibration(void) {
  lk_calibration_level levels[] = {{0.75F, 0}, {0.5F, 3}, {-0.25F, 40}};
  lk_calibration calibration = {.model = "m",
                                .metric = LK_COSINE,
                                .dim = 8,
                                .templates = 5,
                                .probes = 9,
                                .comparisons = 40,
                                .levels = levels,
                                .levels_count = 3};
  if (lk_calibration_write(place("fuzz_calibration", "small"), &calibration, NULL) != LK_OK) exit(1);
}

static void add_field(lk_bytes *job, char name, const void *value, size_t length) {
  char head[3] = {name, (char)length, (char)(length >> 8)};
  lk_bytes_append(job, head, sizeof head);
  lk_bytes_append(job, value, length);
}

/* The fields after `op`: their names' numbers, and their values. */
typedef struct seed_field {
  char name;
  const char *value;
} seed_field;

static void save_plain_job(const char *op, const seed_field *fields, size_t count) {
  static const seed_field usual[] = {{0, "1"}, {2, "j"}, {3, "me"}, {4, "g"}};
  lk_bytes job = {0};
  for (size_t i = 0; i < 4; i++) add_field(&job, usual[i].name, usual[i].value, strlen(usual[i].value));
  add_field(&job, 1, op, strlen(op));
  for (size_t i = 0; i < count; i++) add_field(&job, fields[i].name, fields[i].value, strlen(fields[i].value));
  save("fuzz_job", op, job.data, job.length);
  lk_bytes_free(&job);
}

static void save_job(const char *name, const char *op, char vectors, size_t length) {
  static const char *const values[] = {"1", NULL, "j1", "me", "g", "5", "2", "0.5", "template"};
  lk_bytes job = {0};
  for (char i = 0; i < 9; i++) {
    const char *value = i == 1 ? op : values[(int)i];
    if (i == 8 && strcmp(op, "verify") == 0) continue;
    add_field(&job, i, value, strlen(value));
  }
  add_field(&job, vectors, "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", length);
  add_field(&job, 11, "json,progress", 13);
  add_field(&job, 12, "1000", 4);
  add_field(&job, 13, "m", 1);
  add_field(&job, 18, "demo", 4);
  add_field(&job, 19, "desk", 4);
  add_field(&job, 22, "1606176000000", 13);
  char signature[128];
  memset(signature, 'a', sizeof signature);
  add_field(&job, 23, signature, sizeof signature);
  add_field(&job, 30, "1606176000000-3", 15);
  if (strcmp(op, "verify") == 0) add_field(&job, 14, "s", 1);
  if (strcmp(op, "identify") == 0) add_field(&job, 25, "k1\nk2", 5);
  add_field(&job, 27, "own", 3);
  save("fuzz_job", name, job.data, job.length);
  lk_bytes_free(&job);
}

/* Vectors are letters, which are floats too. */
static void save_jobs(void) {
  const seed_field rows[] = {{6, "2"},
                             {9, "aaaabbbbccccdddd"},
                             {32, "row,key,subject,tags,expires,metadata\n1,b,anna,2,,\"x,\"\n0,a,,1,9,\n"},
                             {31, "7"},
                             {33, "0.5"}};
  const seed_field keys[] = {{25, "b\na\nb"}, {31, "7"}};
  const seed_field tags[] = {{25, "a"}, {17, "4"}, {15, "6"}};
  const seed_field expiry[] = {{25, "a"}, {34, "never"}};
  const seed_field page[] = {{35, "17"}, {36, "1000"}};
  save_plain_job("enroll", rows, 5);
  save_plain_job("replace", rows, 4);
  save_plain_job("delete", keys, 2);
  save_plain_job("tag", tags, 3);
  save_plain_job("expire", expiry, 2);
  save_plain_job("erase", NULL, 0);
  save_plain_job("list", page, 2);
  save_plain_job("stat", NULL, 0);
  save_job("identify", "identify", 9, 16);
  save_job("verify", "verify", 10, 8);
}

/* Two probes with two candidates and none: by hand, since an encoder needs a search. */
static void save_replies(void) {
  lk_bytes reply = {0};
  lk_reply_head head = {.status = LK_EDIM, .id = lk_text_of("j"), .text = lk_text_of("wrong")};
  lk_reply_encode(&head, &(lk_reply_part){0}, NULL, &reply);
  save("fuzz_reply", "error", reply.data, reply.length);
  reply.data[4] = 0;
  save("fuzz_reply", "receipt", reply.data, reply.length);
  reply.data[16] = 2;
  static const char rest[] = "\2\0\0\0\0\0\0\0"
                             "\1\0\0\0\0\0\0\0\0\0\x80\x3f\1\0\2\0kss"
                             "\2\0\0\0\0\0\0\0\0\0\0\x3f\0\0\1\0s";
  lk_bytes_append(&reply, rest, sizeof rest - 1);
  save("fuzz_reply", "candidates", reply.data, reply.length);
  lk_bytes_free(&reply);
}

static void save_policies(void) {
  save_text("fuzz_policy", "rules",
            "policy: 1\nname: n\nrules:\n  - id: a\n    effect: forbid\n    text: why\n    actors: [\"police/*\"]\n"
            "    except: {purposes: missing}\n    from: 2020-06-10\n    until: null\n"
            "  - id: b\n    effect: permit\n    text: >\n      two\n      lines\n    operations: [identify, verify]\n"
            "    galleries: 'a*b'\n    jurisdictions: [CH]\n    until: 2024-02-29T23:59:59.999+02:00\n"
            "    require: [case, signature]\n    authorisation: {grace_hours: 48, on_refusal: keep}\n"
            "    score_decimals: 2\n    decision_only: true\n    subject_probes_per_hour: 9\n"
            "    min_score: -0.5\n    max_fmr: 1e-6\n    max_candidates: 10\n    probes_per_case: 3\n"
            "    retention_hours: 5\n");
  save_text("fuzz_policy", "words",
            "policy: 1\nname: n\nwords: {actors: [\"Police/*\", '\xef\xbd\x81 '], purposes: aid}\nrules:\n"
            "- {id: a, effect: permit, text: t, actors: police/north, purposes: [\"*\", A\xc2\xadid]}\n");
  save_text("fuzz_policy", "keys",
            "policy: 1\nname: n\ndeployment: d-1\nsignature_minutes: 5\nkeys:\n- actor: a\n"
            "  ed25519: 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\nrules: []\n");
}

static void save_log_entry(const char *name, const char *const *words, const void *vectors, uint8_t size) {
  lk_bytes entry = {0};
  const char head[2] = {1, (char)size};
  lk_log_fields fields = {0};
  for (; words[0] != NULL; words += 2) lk_log_fields_add_text(&fields, words[0], words[1]);
  lk_bytes_append(&entry, head, sizeof head);
  lk_log_fields_pack(&fields, &entry);
  lk_bytes_append(&entry, vectors, size);
  save("fuzz_log_entry", name, entry.data, entry.length);
  lk_bytes_free(&entry);
}

#define LOG_PLACE "seq", "2", "term", "1", "prev", LK_LOG_NO_HASH, "hash", LK_LOG_NO_HASH, "number", "0", "rows"

static void save_log_entries(void) {
  static const char *const enroll[] = {LOG_PLACE, "1",      "op",       "enroll",  "id",  "j",   "to",
                                       "me",      "labels", "key\na\n", "element", "f32", "dim", "2",
                                       "digest",  "",       "scores",   "told",    NULL};
  static const float row[] = {1, 2};
  save_log_entry("enroll", enroll, row, sizeof row);
  save_log_entry("refused", enroll, "refused 14 taken", 16);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  root = argv[1];
  save_npy("f4", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n");
  save_npy("u1", 2, "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 3), }\n");
  save_npy("f2", 3, "{'descr': '<f2', 'fortran_order': False, 'shape': (12, 1)}\n");
  save_npy("columns", 1, "{'descr': '>i2', 'fortran_order': True, 'shape': (3, 1, 4), }\n");
  save_npy("records", 1, "{'descr': [('id', '<i4'), ('v', '>f4', (2,))], 'fortran_order': False, 'shape': (2,)}");
  save_npy("twice", 1,
           "{'descr': [('p', '|V4000'), ('v', '<f4', (2,))], 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}");
  save_vecs("fuzz_fvecs", "rows", 3, 4, 4);
  save_vecs("fuzz_fvecs", "narrow", 1, 9, 4);
  save_vecs("fuzz_bvecs", "rows", 3, 4, 1);
  save_vecs("fuzz_bvecs", "wide", 60, 2, 1);
  save_vecs("fuzz_ivecs", "rows", 3, 4, 4);
  save("fuzz_fbin", "rows", "\1\0\0\0\2\0\0\0abcdefgh", 16);
  save("fuzz_ibin", "rows", "\2\0\0\0\1\0\0\0abcdefgh", 16);
  save("fuzz_u8bin", "rows", "\2\0\0\0\3\0\0\0abcdef", 14);
  save("fuzz_i8bin", "rows", "\3\0\0\0\2\0\0\0abcdef", 14);
  save_text("fuzz_number_text", "pandas", ",0,1\n0,0.5,-1.25e-3\n1,nan,7\n");
  save_text("fuzz_number_text", "savetxt", "# header\n1.000000000000000000e+00 2.5\n-3 4\n");
  save_text("fuzz_number_text", "r", "\"V1\" \"V2\"\n\"1\" 0.5 2\n");
  save_text("fuzz_number_text", "counts", "0,1,2\n3,4,5\n");
  save_text("fuzz_number_text", "quoted", "\"a;b\";x\r\n\"1\";2\r\n");
  save_text("fuzz_id_list", "lines", "t1\nZ\xc3\xbcrich\r\n\n\r\nlast");
  save_text("fuzz_id_list", "mark",
            "\xef\xbb\xbf"
            "t1\n");
  save_text("fuzz_labels", "csv",
            "row,key,subject,group,tags,x-\r\n0,\"a \"\"b\",s,F,0x1f,\r\n2,,,M,7,y\r\n1,,,,,\r\n");
  save_text("fuzz_labels", "tabs", "\xef\xbb\xbfkey\tsubject\nZ\xc3\xbcrich\t\na\tb\nc\td\n");
  save("fuzz_labels", "utf16", "\xff\xfek\0e\0y\0\n\0a\0\n\0\xac\x20\n\0c\0", 20);
  save_text("fuzz_labels", "lines", "one\ntwo\r\nthree\n");
  save_label_arrays();
  save_npz();
  save_hdf5("contiguous", false);
  save_hdf5("packed", true);
  save_segment("small", LK_COSINE, (float[]){1, 2, 3, 4, 5, 6});
  save_older_segments();
  save_manifest();
  save_older_manifest();
  save_state();
  save_portable("floats", LK_STORE_F32, (float[]){1, 2, 3, 4}, 8);
  save_portable("halves", LK_STORE_F16, (uint16_t[]){0x3c00, 0x4000, 0x4200, 0x4400}, 4);
  save_journal();
  save_audit();
  save_calibration();
  save_jobs();
  save_replies();
  save_policies();
  save_text("fuzz_address", "tcp", "redis://user@localhost:6379/5");
  save_text("fuzz_address", "unix", "unix:/run/redis.sock");
  save_text("fuzz_address", "hosts", "redis://user@a:6379,[::1],b:1/5");
  save_text("fuzz_address", "sentinel", "redis+sentinel://user@a,[::1]:26379/mymaster/5");
  save_text("fuzz_address", "tls", "rediss://:p@h/1");
  save_text("fuzz_entry", "now", "1700000000000-7");
  save_log_entries();
  save_text("fuzz_entry", "highest", "18446744073709551615-18446744073709551615");
  return 0;
}
