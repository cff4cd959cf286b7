/* Creates a gallery in a temporary folder here, enrolls five templates of three people, searches it and removes it. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include <ftw.h>
#include <likeness/likeness.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 4, ROWS = 5, PROBES = 2 };

static const float templates[ROWS][DIM] = {{4, 1, 0, 0}, {3, 2, 0, 1}, {0, 5, 1, 0}, {0, 4, 2, 0}, {1, 0, 0, 3}};
static const float probes[PROBES][DIM] = {{4, 2, 0, 0}, {0, 1, 0, 4}};

static lk_text text(const char *string) { return (lk_text){.bytes = string, .length = (uint32_t)strlen(string)}; }

static lk_status enroll(const char *folder, lk_error *error) {
  const lk_label labels[ROWS] = {
      {.key = text("ada-1"), .subject = text("ada")}, {.key = text("ada-2"), .subject = text("ada")},
      {.key = text("bo-1"), .subject = text("bo")},   {.key = text("bo-2"), .subject = text("bo")},
      {.key = text("cy-1"), .subject = text("cy")},
  };
  lk_gallery_options options = {.dim = DIM, .metric = LK_COSINE};
  lk_vectors vectors = {.name = "templates", .data = templates, .rows = ROWS, .dim = DIM, .element = LK_F32};
  lk_status status = lk_gallery_create(folder, &options, error);
  if (status == LK_OK) status = lk_gallery_enroll(folder, &vectors, labels, NULL, NULL, NULL, NULL, error);
  return status;
}

static void print_lists(const lk_result *result) {
  for (uint32_t p = 0; p < PROBES; p++)
    for (uint32_t rank = 0; rank < lk_result_count(result, p); rank++) {
      lk_candidate c = lk_result_candidate(result, p, rank);
      printf("probe %u, rank %u: %.*s, a template of %.*s, score %.9g\n", p, rank + 1, (int)c.found.key.length,
             c.found.key.bytes, (int)c.found.subject.length, c.found.subject.bytes, c.score);
    }
}

/* Identifies the probes, then verifies them against the subject cy. */
static lk_status ask(lk_gallery *gallery, lk_result *result, lk_error *error) {
  lk_vectors asked = {.name = "probes", .data = probes, .rows = PROBES, .dim = DIM, .element = LK_F32};
  lk_query query = {.probes = &asked, .probes_count = 1, .k = 2, .threshold = -INFINITY, .by_subject = true};
  lk_status status = lk_gallery_identify(gallery, &query, result, NULL, error);
  if (status != LK_OK) return status;
  printf("identify\n");
  print_lists(result);
  status = lk_gallery_verify(gallery, &asked, text("cy"), NULL, result, error);
  if (status != LK_OK) return status;
  printf("verify cy\n");
  print_lists(result);
  return LK_OK;
}

static lk_status search(const char *folder, lk_error *error) {
  lk_device *device = NULL;
  lk_gallery *gallery = NULL;
  lk_result *result = NULL;
  lk_status status = lk_device_open("auto", 0, &device, error);
  if (status == LK_OK) status = lk_gallery_open(folder, &gallery, error);
  if (status == LK_OK) status = lk_gallery_load(gallery, device, error);
  if (status == LK_OK) status = lk_result_open(&result, error);
  if (status == LK_OK) status = ask(gallery, result, error);
  lk_result_close(result);
  lk_gallery_close(gallery); /* before its device */
  lk_device_close(device);
  return status;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *place) {
  (void)stat, (void)type, (void)place;
  return remove(path);
}

int main(void) {
  char scratch[] = "likeness-example-XXXXXX", folder[sizeof scratch + sizeof "/people"];
  if (mkdtemp(scratch) == NULL) {
    perror(scratch);
    return EXIT_FAILURE;
  }
  snprintf(folder, sizeof folder, "%s/people", scratch);
  lk_error error;
  lk_status status = enroll(folder, &error);
  if (status == LK_OK) status = search(folder, &error);
  if (status != LK_OK) fprintf(stderr, "%s: %s\n", lk_status_name(status), error.text);
  nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  return status == LK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
