/* What the audit log costs: records appended a second, and commits of groups, beside the bare fdatasync of this disk.
 *
 *   bench_audit FOLDER [GROUP 256] [GROUPS 200] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <likeness/audit.h>
#include "base/text.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(lk_status status, const lk_error *error) {
  if (status == LK_OK) return;
  fprintf(stderr, "bench_audit: %s\n", error->text);
  exit(1);
}

static const lk_audit_record *decision(void) {
  static lk_audit_record record;
  record = (lk_audit_record){.type = LK_AUDIT_DECISION,
                             .id = lk_text_of("0123456789abcdef-0001"),
                             .operation = lk_text_of("identify"),
                             .purpose = lk_text_of("missing-person"),
                             .actor = lk_text_of("desk-17"),
                             .jurisdiction = lk_text_of("CH-ZH"),
                             .gallery = lk_text_of("faces"),
                             .policy = lk_text_of("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
                             .rules = {lk_text_of("missing-persons")},
                             .rules_count = 1,
                             .permitted = true,
                             .threshold = 0.5f,
                             .cap = 10,
                             .total = 1000000};
  return &record;
}

/* One more `size` bytes written and synced, `times`: what no log can do without. */
static double bare_sync(const char *folder, size_t size, int times) {
  char path[4096], *data = calloc(1, size);
  snprintf(path, sizeof path, "%s.bare", folder);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  double start = now();
  for (int i = 0; i < times; i++)
    if (write(fd, data, size) < 0 || fdatasync(fd) != 0) exit(1);
  double taken = (now() - start) / times;
  close(fd);
  unlink(path);
  free(data);
  return taken;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int group = argc > 2 ? atoi(argv[2]) : 256, groups = argc > 3 ? atoi(argv[3]) : 200;
  lk_audit *audit;
  lk_error error;
  lk_audit_report report;
  double append = 0, commit = 0;
  check(lk_audit_open(argv[1], &(lk_audit_options){0}, &audit, &error), &error);
  for (int g = 0; g < groups; g++) {
    double start = now();
    for (int i = 0; i < group; i++) check(lk_audit_append(audit, decision(), NULL, &error), &error);
    double between = now();
    check(lk_audit_commit(audit, &error), &error);
    append += between - start;
    commit += now() - between;
  }
  check(lk_audit_close(audit, &error), &error);
  double start = now(), records = (double)group * groups;
  check(lk_audit_verify(argv[1], NULL, NULL, &report, &error), &error);
  double verify = now() - start;
  printf("append  %8.2f us a record, %.0f records/s\n", append / records * 1e6, records / append);
  printf("commit  %8.2f us a group of %d; bare write and fdatasync of as many bytes %.2f us\n", commit / groups * 1e6,
         group, bare_sync(argv[1], (size_t)group * 600, groups) * 1e6);
  printf("both    %8.0f records/s\n", records / (append + commit));
  printf("verify  %8.0f records/s\n", (double)report.last / verify);
  return 0;
}
