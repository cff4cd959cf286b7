/* Sources that change while they are enrolled: the gallery must stay one that opens and checks out. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <likeness/likeness.h>

#include "tests/support/files.h"

TestSuite(changing_source, .init = files_setup, .fini = files_teardown);

enum { ROWS = 3000, DIM = 16, TURNS = 40 };

static int fd;
static atomic_bool over;

/* Writes to the file, not the map. A row in the middle is good most of the time, so that some readings of it find it
 * good and others do not. */
static void *change(void *unused) {
  static const float bad[] = {NAN, 0, INFINITY};
  float row[DIM];
  for (uint32_t turn = 0; !atomic_load(&over); turn++) {
    for (int i = 0; i < DIM; i++) row[i] = turn % 16 == 0 ? bad[turn / 16 % 3] : (float)(turn % 16) - 7.5F;
    if (pwrite(fd, row, sizeof row, (off_t)(ROWS / 2 * sizeof row)) != sizeof row) break;
  }
  return unused;
}

static float *map_source(const char *path) {
  random_state random = {7};
  float *data = files_random(&random, ROWS, DIM);
  files_write(path, data, (size_t)ROWS * DIM * sizeof *data);
  free(data);
  fd = open(path, O_RDWR | O_CLOEXEC);
  cr_assert_geq(fd, 0);
  float *map = mmap(NULL, (size_t)ROWS * DIM * sizeof *map, PROT_READ, MAP_SHARED, fd, 0);
  cr_assert_neq(map, MAP_FAILED);
  return map;
}

static void enroll_once(lk_metric metric, int turn, const float *source) {
  char name[32];
  snprintf(name, sizeof name, "g%d-%d", (int)metric, turn);
  const char *folder = files_gallery(name, metric, DIM);
  lk_vectors vectors = files_vectors(source, ROWS, DIM);
  lk_error error = {0};
  lk_status status = lk_gallery_enroll(folder, &vectors, NULL, NULL, NULL, NULL, NULL, &error);
  cr_assert(status == LK_OK || status == LK_EBADPROBE, "%s", error.text);
  lk_gallery *gallery;
  cr_assert_eq(lk_gallery_open(folder, &gallery, &error), LK_OK, "after %s: %s", lk_status_name(status), error.text);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_eq(stat.templates, status == LK_OK ? ROWS : 0);
  lk_gallery_close(gallery);
}

Test(changing_source, an_enrollment_is_whole_or_refused) {
  float *source = map_source(files_path("source"));
  pthread_t changer;
  cr_assert_eq(pthread_create(&changer, NULL, change, NULL), 0);
  for (int turn = 0; turn < TURNS; turn++)
    for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) enroll_once(metric, turn, source);
  atomic_store(&over, true);
  pthread_join(changer, NULL);
  munmap(source, (size_t)ROWS * DIM * sizeof *source);
  close(fd);
}
