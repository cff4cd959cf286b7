/* What policy and audit log add to a search: batches of jobs of one probe each, searched bare and governed in turn.
 * Governed, each job is decided, released and kept, gets its decision record, and the batch is committed to the disk.
 * All of it waits here; in the worker it is done by threads beside the search, as `scripts/bench-governance` shows.
 *
 *   bench_governance LOG-FOLDER [--rows 1000000] [--dim 512] [--batches 256] [--k 10] [--threads N]
 *
 * The folder must not exist; it is on the disk that is measured. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "bench/bench.h"
#include "bench/gallery.h"
#include "bench/options.h"
#include "governance/decision_record.h"

enum { TURNS = 21 };

static const char rules[] = "policy: 1\n"
                            "name: bench\n"
                            "rules:\n"
                            "  - id: halt\n"
                            "    effect: forbid\n"
                            "    text: The police do not search.\n"
                            "    actors: [\"police/*\"]\n"
                            "    except: {purposes: [missing-persons]}\n"
                            "    until: null\n"
                            "  - id: missing-persons\n"
                            "    effect: permit\n"
                            "    text: Missing persons are searched for, with a case and an authorisation.\n"
                            "    operations: [identify]\n"
                            "    purposes: [missing-persons]\n"
                            "    require: [case, jurisdiction, authorisation]\n"
                            "    probes_per_case: 1000000000\n"
                            "    max_candidates: 20\n";

typedef struct side {
  lk_device *device;
  lk_batch batch;
  lk_candidate_lists lists;
  lk_governance *governance;
  lk_verdict *verdicts;
  double deciding, committing; /* seconds in all */
} side;

static void must(lk_status status, const lk_error *error) {
  if (status != LK_OK) bench_fail(error->text);
}

static uint64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static lk_policy_request request_of(const side *s) {
  return (lk_policy_request){.operation = LK_OPERATION_IDENTIFY,
                             .purpose = lk_text_of("missing-persons"),
                             .actor = lk_text_of("police/north"),
                             .jurisdiction = lk_text_of("US-OR"),
                             .gallery = lk_text_of("faces"),
                             .case_id = lk_text_of("2021-77"),
                             .authorisation = lk_text_of("w-1"),
                             .authorisation_granted = true,
                             .k = s->batch.k,
                             .threshold = -INFINITY,
                             .probes = 1};
}

static void decide_all(side *s) {
  lk_policy_request request = request_of(s);
  lk_error error;
  for (uint32_t i = 0; i < s->batch.count; i++) {
    uint32_t dim = s->batch.shape.dim;
    lk_evidence evidence = {.probes = s->batch.probes + (size_t)i * dim, .floats = dim, .searches = true};
    must(lk_governance_decide(s->governance, &request, &evidence, NULL, clock_ms(), &s->verdicts[i], &error), &error);
  }
}

static void release_all(side *s) {
  lk_policy_request request = request_of(s);
  lk_release release = {.epoch = 1, .searched = 1, .total = 1, .candidates = s->batch.k};
  lk_error error;
  for (uint32_t i = 0; i < s->batch.count; i++) {
    must(lk_governance_release(s->governance, &request, clock_ms(), &s->verdicts[i], &error), &error);
    must(lk_governance_log_search(s->governance, &request, clock_ms(), &s->verdicts[i], &release, &error), &error);
    json_t *record = lk_decision_record(s->governance, &s->verdicts[i], lk_text_of("m"), &release);
    free(lk_decision_record_print(record));
    json_decref(record);
  }
  double start = bench_now();
  must(lk_governance_commit(s->governance, &error), &error);
  s->committing += bench_now() - start;
}

static double search(side *s, bool governed) {
  lk_error error;
  double start = bench_now();
  if (governed) decide_all(s);
  double searching = bench_now();
  must(lk_search(s->device, &s->batch, &s->lists, NULL, &error), &error);
  double searched = bench_now();
  if (governed) release_all(s);
  double end = bench_now();
  s->deciding += searching - start + end - searched;
  return end - start;
}

static void measure(side *s) {
  double bare[TURNS], governed[TURNS], ratio[TURNS];
  search(s, false); /* warm */
  search(s, true);
  s->deciding = s->committing = 0;
  for (int i = 0; i < TURNS; i++) {
    bare[i] = search(s, false);
    governed[i] = search(s, true);
    ratio[i] = governed[i] / bare[i];
  }
  double search_s = bench_quantile(bare, TURNS, 0.5), commit_s = s->committing / TURNS,
         decide_s = s->deciding / TURNS - commit_s;
  printf("batch %u: bare %.2f ms, governed %.2f ms, median ratio %.4f (%d turns); of a bare search: decisions %.2f ms "
         "(%.2f%%), commit to the disk %.2f ms (%.2f%%)\n",
         s->batch.count, search_s * 1e3, bench_quantile(governed, TURNS, 0.5) * 1e3, bench_quantile(ratio, TURNS, 0.5),
         TURNS, decide_s * 1e3, 100 * decide_s / search_s, commit_s * 1e3, 100 * commit_s / search_s);
}

static lk_governance *govern(const char *log) {
  char path[4096];
  lk_governance *governance;
  lk_error error;
  snprintf(path, sizeof path, "%s.policy.yaml", log);
  FILE *file = fopen(path, "w");
  if (file == NULL || fputs(rules, file) < 0 || fclose(file) != 0) bench_fail("cannot write the policy");
  must(lk_governance_open(&(lk_governance_options){.policy = path, .audit = log}, &governance, &error), &error);
  remove(path);
  return governance;
}

int main(int argc, char **argv) {
  if (argc < 2 || argv[1][0] == '-') bench_fail("the log's folder is needed first");
  options o = {.rows = 1000000, .ks = {10}, .ks_count = 1, .batches = {256}, .batches_count = 1, .devices = {"cpu"}};
  options_parse(&o, argc - 1, argv + 1);
  lk_error error;
  lk_pool *pool;
  side s = {.governance = govern(argv[1])};
  must(lk_pool_open(o.threads, &pool, &error), &error);
  must(lk_device_open(o.devices[0], o.threads, &s.device, &error), &error);
  data d = data_open(&o.data);
  gallery g = gallery_make(&d, o.rows, pool);
  lk_resident_block **residents = gallery_load(&g, s.device, (lk_visibility){0});
  printf("%s, %u threads, %u rows of %u, k %u\n", lk_device_name(s.device), lk_pool_threads(pool), g.rows, g.shape.dim,
         o.ks[0]);
  for (uint32_t i = 0; i < o.batches_count; i++) {
    float *probes = gallery_probes(&g, o.batches[i]);
    s.batch = (lk_batch){.shape = g.shape,
                         .blocks = residents,
                         .blocks_count = g.blocks_count,
                         .probes = probes,
                         .count = o.batches[i],
                         .k = o.ks[0]};
    s.verdicts = bench_allocate(o.batches[i], sizeof *s.verdicts);
    measure(&s);
    free(s.verdicts);
    free(probes);
  }
  gallery_unload(&g, s.device, residents);
  gallery_free(&g);
  data_close(&d);
  lk_candidate_lists_free(&s.lists);
  lk_device_close(s.device);
  lk_pool_close(pool);
  must(lk_governance_close(s.governance, &error), &error);
  return 0;
}
