#include <inttypes.h>
#include <math.h>

#include <likeness/dedupe.h>
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "engine/cli/render.h"
#include "index/duplicates/subject_groups.h"

/* One run of dedupe. */
typedef struct run {
  const lk_options *options;
  const lk_streams *streams;
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
  lk_subject_groups groups; /* with --groups */
  lk_bar bar;
  bool bar_drawn, header_printed;
  lk_claims claims;
  lk_signing_key key; /* the claims point to it */
} run;

enum { COLUMN = 20 };

static void put_text(const run *r, lk_text text) {
  if (r->options->format == LK_CSV) {
    lk_render_csv_text(r->streams->out, text);
    fputc(',', r->streams->out);
  } else {
    lk_printable_put(r->streams->out, text, COLUMN);
    fputc(' ', r->streams->out);
  }
}

/* Printed with the first pair, or when there is none: a refusal prints nothing. */
static void print_header(run *r) {
  FILE *out = r->streams->out;
  bool groups = r->options->groups;
  if (r->options->format == LK_CSV)
    fputs(groups ? "group,key,subject\n" : "key_a,subject_a,key_b,subject_b,score\n", out);
  if (r->options->format == LK_TABLE && groups) fprintf(out, "%8s  %-*s %s\n", "group", COLUMN, "key", "subject");
  if (r->options->format == LK_TABLE && !groups)
    fprintf(out, "%-*s %-*s %-*s %-*s %s\n", COLUMN, "key_a", COLUMN, "subject_a", COLUMN, "key_b", COLUMN, "subject_b",
            "score");
  r->header_printed = true;
}

static lk_status print_pair_json(const run *r, const lk_pair *pair, lk_error *error) {
  const lk_template *a = &pair->a, *b = &pair->b;
  json_t *root =
      json_pack("{s:s%, s:s%, s:s%, s:s%, s:o}", "key_a", a->key.bytes, (size_t)a->key.length, "subject_a",
                a->subject.bytes, (size_t)a->subject.length, "key_b", b->key.bytes, (size_t)b->key.length, "subject_b",
                b->subject.bytes, (size_t)b->subject.length, "score", lk_render_score_json(pair->score));
  return lk_render_json_line(r->streams->out, root, lk_result_decision(r->result), error);
}

static void clear_bar(run *r) {
  if (r->bar_drawn) lk_bar_close(&r->bar);
  r->bar_drawn = false;
}

static lk_status print_pair(run *r, const lk_pair *pair, lk_error *error) {
  FILE *out = r->streams->out;
  lk_status status = LK_OK;
  clear_bar(r);
  if (!r->header_printed) print_header(r);
  if (r->options->format == LK_JSON) {
    status = print_pair_json(r, pair, error);
  } else {
    const lk_text texts[] = {pair->a.key, pair->a.subject, pair->b.key, pair->b.subject};
    for (int i = 0; i < 4; i++) put_text(r, texts[i]);
    fprintf(out, "%s\n", lk_render_score(pair->score, r->options->format == LK_CSV ? "" : "-").text);
  }
  if (status == LK_OK && ferror(out)) status = lk_fail(error, LK_EIO, "cannot write the output");
  return status;
}

static lk_status take_pair(void *context, const lk_pair *pair, lk_error *error) {
  run *r = context;
  return r->options->groups ? lk_subject_groups_join(&r->groups, pair, error) : print_pair(r, pair, error);
}

static void show_progress(void *context, uint64_t done, uint64_t total) {
  run *r = context;
  lk_bar_update(&r->bar, done, total);
  r->bar_drawn = true;
}

static lk_status print_group_json(const run *r, uint32_t number, const uint32_t *members, uint32_t count,
                                  lk_error *error) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++) {
    lk_template t = lk_gallery_template(r->gallery, members[i]);
    json_array_append_new(list, json_pack("{s:s%, s:s%}", "key", t.key.bytes, (size_t)t.key.length, "subject",
                                          t.subject.bytes, (size_t)t.subject.length));
  }
  bool complete = json_array_size(list) == count;
  json_t *root = json_pack("{s:I, s:o}", "group", (json_int_t)number, "templates", list);
  if (complete) return lk_render_json_line(r->streams->out, root, lk_result_decision(r->result), error);
  json_decref(root);
  return lk_fail_memory(error);
}

static lk_status print_group(const run *r, uint32_t number, const uint32_t *members, uint32_t count, lk_error *error) {
  FILE *out = r->streams->out;
  if (r->options->format == LK_JSON) return print_group_json(r, number, members, count, error);
  for (uint32_t i = 0; i < count; i++) {
    lk_template t = lk_gallery_template(r->gallery, members[i]);
    fprintf(out, r->options->format == LK_CSV ? "%u," : "%8u  ", number);
    put_text(r, t.key);
    if (r->options->format == LK_CSV)
      lk_render_csv_text(out, t.subject);
    else
      lk_printable_put(out, t.subject, 0);
    fputc('\n', out);
  }
  return LK_OK;
}

static lk_status print_groups(run *r, lk_error *error) {
  const uint32_t *members;
  uint32_t at = 0, count, number = 0;
  lk_status status = LK_OK;
  lk_subject_groups_list(&r->groups);
  while (status == LK_OK && (count = lk_subject_groups_next(&r->groups, &at, &members)) > 0)
    status = print_group(r, ++number, members, count, error);
  return status;
}

static lk_status dedupe(run *r, lk_error *error) {
  lk_dedupe wanted = {.threshold = r->options->threshold,
                      .claims = &r->claims,
                      .control = r->streams->search,
                      .found = take_pair,
                      .progress = show_progress,
                      .context = r};
  r->bar = lk_bar_open(r->streams->log, "dedupe");
  lk_status status = lk_gallery_dedupe(r->gallery, &wanted, r->result, error);
  clear_bar(r);
  if (status == LK_OK && !r->header_printed) print_header(r);
  if (status == LK_OK && r->options->groups) status = print_groups(r, error);
  if (status != LK_OK) return status;
  return lk_render_footer(r->streams->out, r->options->format, lk_result_decision(r->result), error);
}

static lk_status open_run(run *r, lk_error *error) {
  const lk_options *options = r->options;
  lk_status status = lk_options_claims(options, &r->claims, &r->key, error);
  if (status == LK_OK) status = lk_device_open(options->device, options->threads, &r->device, error);
  if (status == LK_OK) status = lk_gallery_open(options->words[0], &r->gallery, error);
  if (status == LK_OK) status = lk_gallery_load(r->gallery, r->device, error);
  if (status == LK_OK) status = lk_result_open(&r->result, error);
  if (status == LK_OK && options->groups) status = lk_subject_groups_open(r->gallery, &r->groups, error);
  return status;
}

static void close_run(run *r) {
  lk_subject_groups_close(&r->groups);
  lk_result_close(r->result);
  lk_gallery_close(r->gallery);
  lk_device_close(r->device);
  lk_signing_key_forget(&r->key);
}

lk_status lk_command_dedupe(const lk_options *options, const lk_streams *streams, lk_error *error) {
  run r = {.options = options, .streams = streams};
  if (options->threshold == -INFINITY)
    return lk_fail(error, LK_EINVAL, "--threshold is missing: the least score of two templates that are duplicates");
  lk_status status = lk_options_check_format(options, "table csv json", error);
  if (status == LK_OK) status = open_run(&r, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = dedupe(&r, error);
  close_run(&r);
  return status;
}
