/* status shows who waits in the queues and who works. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/cli/command.h"
#include "engine/queue/overview.h"

static long long number_of(const json_t *object, const char *member) {
  return (long long)json_integer_value(json_object_get(object, member));
}

/* A time in seconds; "-" where it is null. */
static void put_seconds(FILE *out, const json_t *ms) {
  if (json_is_integer(ms))
    fprintf(out, "%.1f s", (double)json_integer_value(ms) / 1000);
  else
    fputc('-', out);
}

static void print_priority(FILE *out, const json_t *overview, const char *name) {
  const json_t *priority = json_object_get(overview, name);
  fprintf(out, "  %-8s jobs %lld, held %lld, oldest ", name, number_of(priority, "jobs"), number_of(priority, "held"));
  put_seconds(out, json_object_get(priority, "oldest_ms"));
  fputc('\n', out);
}

static void print_worker(FILE *out, const json_t *worker) {
  fputs("  worker   ", out);
  lk_printable_put(out, lk_text_of(json_string_value(json_object_get(worker, "worker"))), 24);
  fputs(" lease ", out);
  put_seconds(out, json_object_get(worker, "lease_ms"));
  fprintf(out, ", held %lld, searching %lld\n", number_of(worker, "held"), number_of(worker, "searching"));
}

static lk_status print_table(FILE *out, const json_t *overview, lk_error *error) {
  json_t *worker, *count;
  const char *name;
  size_t i;
  (void)error;
  fprintf(out, "%s\n", json_string_value(json_object_get(overview, "gallery")));
  print_priority(out, overview, "hi");
  print_priority(out, overview, "lo");
  json_array_foreach(json_object_get(overview, "workers"), i, worker) print_worker(out, worker);
  if (i == 0) fputs("  worker   none\n", out);
  fprintf(out, "  counts   dead %lld, deaths %lld", number_of(overview, "dead"), number_of(overview, "deaths"));
  json_object_foreach(json_object_get(overview, "counts"), name, count) {
    fputs(", ", out);
    lk_printable_put(out, lk_text_of(name), 0);
    fprintf(out, " %lld", (long long)json_integer_value(count));
  }
  fputc('\n', out);
  return LK_OK;
}

static lk_status print_json(FILE *out, const json_t *overview, lk_error *error) {
  char *text = lk_json_print(overview, JSON_COMPACT);
  if (text == NULL) return lk_fail_memory(error);
  lk_printable_json(out, text, strlen(text));
  fputc('\n', out);
  free(text);
  return LK_OK;
}

static lk_status show(lk_redis *redis, const char *gallery, const lk_options *options, FILE *out, lk_error *error) {
  json_t *overview;
  lk_status status = lk_overview_read(redis, gallery, &overview, error);
  if (status != LK_OK) return status;
  status = (options->format == LK_JSON ? print_json : print_table)(out, overview, error);
  json_decref(overview);
  return status;
}

static lk_status show_all(lk_redis *redis, const lk_options *options, const lk_streams *streams, lk_error *error) {
  json_t *names, *name;
  size_t i;
  lk_status status = lk_overview_galleries(redis, &names, error);
  if (status != LK_OK) return status;
  if (json_array_size(names) == 0) fputs("no gallery has a queue here\n", streams->log);
  json_array_foreach(names, i, name) {
    if (status == LK_OK) status = show(redis, json_string_value(name), options, streams->out, error);
  }
  json_decref(names);
  return status;
}

lk_status lk_command_status(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_address address;
  lk_redis *redis;
  lk_status status = lk_options_check_format(options, "table json", error);
  if (status == LK_OK) status = lk_options_address(options, &address, error);
  if (status == LK_OK) status = lk_redis_open(&address, &redis, error);
  if (status != LK_OK) return status;
  if (options->gallery != NULL)
    status = show(redis, options->gallery, options, streams->out, error);
  else
    status = show_all(redis, options, streams, error);
  lk_redis_close(redis);
  return status;
}
