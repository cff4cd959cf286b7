#include "tests/faults/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/e2e/e2e.h"
#include "tests/faults/answer.h"

static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;

void reference_open(const char *folder) {
  lk_error error = {0};
  lk_vectors vectors = files_vectors(faces_probes, FACES_PROBES, FACES_DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = REFERENCE_K_MOST, .threshold = -INFINITY};
  if (lk_device_open("cpu", 1, &device, &error) == LK_OK && lk_gallery_open(folder, &gallery, &error) == LK_OK &&
      lk_gallery_load(gallery, device, &error) == LK_OK && lk_result_open(&result, &error) == LK_OK &&
      lk_gallery_identify(gallery, &query, result, NULL, &error) == LK_OK)
    return;
  fprintf(stderr, "faults: no reference: %s\n", error.text);
  exit(2);
}

void reference_close(void) {
  lk_result_close(result);
  lk_gallery_close(gallery);
  lk_device_close(device);
}

uint64_t reference_digest(uint32_t first, uint32_t n, uint32_t k) {
  uint64_t digest = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t probe = (first + i) % FACES_PROBES;
    digest = answer_digest_count(digest, k);
    for (uint32_t rank = 0; rank < k; rank++) {
      lk_candidate candidate = lk_result_candidate(result, probe, rank);
      digest = answer_digest_candidate(digest, &candidate);
    }
  }
  return digest;
}
