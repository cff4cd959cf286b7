#include "tests/e2e/live/changing.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void add(lk_command *command, const char *name, const char *value) {
  lk_command_add_string(command, name);
  lk_command_add_string(command, value);
}

static void call(redis_server *server, const lk_command *command) {
  lk_redis_reply *reply = NULL;
  lk_error error = {0};
  cr_assert_eq(lk_redis_call(server->link, command, &reply, &error), LK_OK, "%s", error.text);
  cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
}

void changing_send(redis_server *server, const char *id, const char *op, const float *vector, ...) {
  lk_command command = {0};
  va_list more;
  add(&command, "XADD", FACES_LO);
  add(&command, "*", "v");
  lk_command_add_string(&command, "1");
  add(&command, "op", op);
  add(&command, "id", id);
  add(&command, "to", "me");
  add(&command, "gallery", "faces");
  add(&command, "flags", "json");
  va_start(more, vector);
  for (const char *name; (name = va_arg(more, const char *)) != NULL;) add(&command, name, va_arg(more, const char *));
  va_end(more);
  if (vector != NULL) {
    add(&command, "n", "1");
    lk_command_add_string(&command, "f32");
    lk_command_add(&command, vector, FACES_DIM * sizeof *vector);
  }
  call(server, &command);
  lk_command_free(&command);
}

static json_t *next(redis_server *server) {
  lk_redis_reply *reply = redis_ask(server, "BLPOP", FACES_REPLIES "me", "20", NULL);
  size_t length;
  const char *bytes = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length);
  cr_assert_not_null(bytes, "no reply");
  json_t *json = json_loadb(bytes, length, 0, NULL);
  cr_assert_not_null(json, "%.*s", (int)length, bytes);
  lk_redis_reply_free(reply);
  return json;
}

int64_t changing_expect(redis_server *server, const char *id, char entry[CHANGING_ID]) {
  json_t *reply = next(server);
  cr_assert_str_eq(reply_text(reply, "id"), id);
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s: %s", id, reply_text(reply, "text"));
  const json_t *receipt = json_object_get(reply, "receipt");
  cr_assert_not_null(receipt);
  if (entry != NULL) snprintf(entry, CHANGING_ID, "%s", reply_text(receipt, "log"));
  int64_t templates = reply_number(receipt, "templates");
  json_decref(reply);
  return templates;
}

bool changing_finds(redis_server *server, const float *vector, const char *key, const char *entry) {
  changing_send(server, "found", "identify", vector, "k", "1", "after", entry, NULL);
  json_t *reply = next(server);
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  const json_t *first = json_array_get(json_array_get(json_object_get(reply, "probes"), 0), 0);
  bool found = first != NULL && strcmp(reply_text(first, "key"), key) == 0 &&
               json_real_value(json_object_get(first, "score")) > 0.9999;
  json_decref(reply);
  return found;
}

const float *changing_vector(uint32_t number) {
  static float vector[FACES_DIM];
  random_state random = random_fork(77, number);
  for (int i = 0; i < FACES_DIM; i++) vector[i] = (float)random_normal(&random);
  return vector;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

char *changing_list(const char *folder) {
  enum { LINES = 20000 };
  process p = {0};
  EXPECT(&p, 0, "", "list", folder, "--format", "csv");
  char *text = strdup(process_out(&p)), **lines = calloc(LINES, sizeof *lines), *rest = text, *line;
  size_t count = 0, length = strlen(text);
  while ((line = strsep(&rest, "\n")) != NULL && count < LINES) lines[count++] = line;
  qsort(lines, count, sizeof *lines, compare);
  char *sorted = calloc(length + 2, 1), *end = sorted;
  for (size_t i = 0; i < count; i++) end += sprintf(end, "%s%s", lines[i], i + 1 < count ? "\n" : "");
  free(lines);
  free(text);
  process_close(&p);
  return sorted;
}

void changing_await_owner(process *worker) {
  cr_assert(process_logs(worker, "this worker owns the log", PROCESS_PATIENCE_MS), "%s", process_log(worker));
}

/* One that is gone meanwhile has nothing. */
static bool file_has(const char *path, size_t length, const void *bytes, size_t size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return false;
  char *data = malloc(length + 1);
  bool found = memmem(data, fread(data, 1, length, file), bytes, size) != NULL;
  fclose(file);
  free(data);
  return found;
}

bool changing_has_bytes(const char *folder, const void *bytes, size_t size) {
  DIR *entries = opendir(folder);
  bool found = false;
  cr_assert_not_null(entries, "%s", folder);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    char path[PATH_MAX + 300];
    struct stat stat;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] == '.' || lstat(path, &stat) != 0) continue;
    if (S_ISDIR(stat.st_mode)) found |= changing_has_bytes(path, bytes, size);
    if (S_ISREG(stat.st_mode)) found |= file_has(path, (size_t)stat.st_size, bytes, size);
  }
  closedir(entries);
  return found;
}
