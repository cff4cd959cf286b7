/* likeness export, import and alias: the same search prints the same bytes where a gallery has moved to. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static process p, worker;

static void teardown(void) {
  process_close(&worker);
  process_close(&p);
  e2e_teardown();
}

TestSuite(moving, .init = e2e_setup_with_redis, .fini = teardown);

/* What the command prints; the caller frees it. */
static char *printed(const char *folder, const char *format) {
  EXPECT(&p, 0, "", "identify", folder, probes, "--format", format);
  char *text = strdup(process_out(&p));
  cr_assert_gt(strlen(text), 1000);
  return text;
}

static void expect_same(const char *folder) {
  static const char *const formats[] = {"table", "csv", "json"};
  for (int i = 0; i < 3; i++) {
    char *before = printed(faces, formats[i]), *after = printed(folder, formats[i]);
    cr_assert_str_eq(before, after, "%s", formats[i]);
    free(before);
    free(after);
  }
}

Test(moving, a_file_and_back) {
  EXPECT(&p, 0, "exported 600 templates", "export", faces, files_path("faces.lkg"));
  EXPECT(&p, 0, "imported 600 templates\n", "import", files_path("there"), files_path("faces.lkg"));
  expect_same(files_path("there"));
  EXPECT(&p, 0, "", "check", files_path("there"));
  EXPECT(&p, 0, "", "stat", files_path("there"));
  expect_out(&p, "name        faces\nmodel       m1\n");
  EXPECT(&p, 1, "faces.lkg: the file exists already", "export", faces, files_path("faces.lkg"));
  EXPECT(&p, 1, "not empty", "import", files_path("there"), files_path("faces.lkg"));
}

Test(moving, arrays_and_back) {
  EXPECT(&p, 0, "exported 600 templates", "export", faces, "--npy", files_path("x.npy"), "--labels",
         files_path("x.csv"));
  EXPECT(&p, 0, "", "create", files_path("there"), "--dim", "24", "--model", "m1");
  EXPECT(&p, 0, "enrolled 600", "enroll", files_path("there"), files_path("x.npy"), "--labels", files_path("x.csv"));
  expect_same(files_path("there"));
}

Test(moving, a_file_that_is_cut_off) {
  EXPECT(&p, 0, "", "export", faces, files_path("faces.lkg"));
  cr_assert_eq(truncate(files_path("faces.lkg"), 3000), 0);
  EXPECT(&p, 1, "faces.lkg: at offset 640: the file is cut off", "import", files_path("there"),
         files_path("faces.lkg"));
  cr_assert_neq(access(files_path("there"), F_OK), 0);
}

Test(moving, rules) {
  static const char forbid[] = DEMO_PERMIT "    operations: [identify]\n";
  files_write(files_path("p.yaml"), DEMO_PERMIT, strlen(DEMO_PERMIT));
  EXPECT(&p, 0, "", "bind", faces, "--policy", files_path("p.yaml"));
  EXPECT(&p, 3, "no rule of policy 'test' permits it", "export", faces, files_path("faces.lkg"));
  EXPECT(&p, 0, "exported", "export", faces, files_path("faces.lkg"), "--purpose", "demo");
  files_write(files_path("p.yaml"), forbid, strlen(forbid));
  EXPECT(&p, 3, "no rule of policy 'test' permits it", "export", faces, files_path("again.lkg"), "--purpose", "demo");
  cr_assert_neq(access(files_path("again.lkg"), F_OK), 0);
  EXPECT(&p, 0, "", "import", files_path("free"), files_path("faces.lkg"));
  EXPECT(&p, 0, "", "stat", files_path("free"));
  expect_out(&p, "policy      none");
  EXPECT(&p, 0, "", "import", files_path("bound"), files_path("faces.lkg"), "--policy", files_path("p.yaml"));
  EXPECT(&p, 3, "no rule of policy 'test' permits it", "identify", files_path("bound"), probes);
}

Test(moving, usage) {
  EXPECT(&p, 2, "FILE.lkg is missing", "export", faces);
  EXPECT(&p, 2, "not both", "export", faces, files_path("x.lkg"), "--npy", files_path("x.npy"));
  EXPECT(&p, 2, "--labels is missing", "export", faces, "--npy", files_path("x.npy"));
  EXPECT(&p, 2, "--npy is missing", "export", faces, "--labels", files_path("x.csv"));
  EXPECT(&p, 2, "an operand is missing", "import", faces);
  EXPECT(&p, 2, "an operand is missing", "alias", faces);
  EXPECT(&p, 2, "invalid name", "alias", files_path("a b"), faces);
  EXPECT(&p, 1, "not a symbolic link", "alias", faces, faces);
  EXPECT(&p, 1, "MANIFEST", "alias", files_path("a"), files_root);
  cr_assert_neq(access(files_path("a"), F_OK), 0);
}

static void start_worker(const char *folder, const char *serving) {
  likeness_start(&worker, "serve", folder, "--redis", redis.url, NULL);
  cr_assert(process_logs(&worker, serving, PROCESS_PATIENCE_MS), "%s", process_log(&worker));
}

static void submit(const char *gallery, int wanted) {
  EXPECT(&p, wanted, "", "submit", probes, "--redis", redis.url, "--gallery", gallery, "--timeout", "2");
}

/* A worker serves the gallery that the alias led to when it started, under that gallery's name, until it ends. */
Test(moving, a_worker_and_an_alias_that_moves) {
  files_gallery("next", LK_COSINE, 8);
  EXPECT(&p, 0, "", "alias", files_path("now"), faces);
  cr_assert_str_eq(process_log(&p), "");
  start_worker(files_path("now"), "serving faces");
  submit("faces", 0);
  EXPECT(&p, 0, "the dimension is 8 now, and was 24", "alias", files_path("now"), files_path("next"));
  submit("faces", 0);
  submit("next", 1);
  worker_stop(&worker);
  process_close(&worker);
  start_worker(files_path("now"), "serving next");
  worker_stop(&worker);
}
