/* Names that lead to another gallery later. */
#include <likeness/portable.h>

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files.h"

static lk_error error;

TestSuite(alias, .init = files_setup, .fini = files_teardown);

static const char *made_meanwhile; /* as soon as there is a link, which has no name of its own yet */

int __wrap_symlinkat(const char *target, int folder, const char *name);
int __real_symlinkat(const char *target, int folder, const char *name);

int __wrap_symlinkat(const char *target, int folder, const char *name) {
  if (made_meanwhile != NULL) files_write(made_meanwhile, "mine", 4);
  return __real_symlinkat(target, folder, name);
}

static void expect_leads(const char *alias, const char *name) {
  lk_gallery_stat stat;
  lk_gallery *gallery = files_open(alias);
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_str_eq(stat.name, name);
  lk_gallery_close(gallery);
}

Test(alias, leads_to_one_gallery_and_then_to_another) {
  lk_alias_change change;
  char alias[PATH_MAX], target[PATH_MAX] = "";
  strcpy(alias, files_path("faces"));
  files_gallery("old", LK_IP, 3);
  files_gallery("new", LK_IP, 5);
  cr_assert_eq(lk_gallery_alias(alias, files_path("old"), &change, &error), LK_OK, "%s", error.text);
  cr_assert(change.dim_before == 0 && change.dim == 3);
  expect_leads(alias, "old");
  cr_assert_eq(lk_gallery_alias(alias, files_path("new"), &change, &error), LK_OK, "%s", error.text);
  cr_assert(change.dim_before == 3 && change.dim == 5);
  expect_leads(alias, "new");
  cr_assert_gt(readlink(alias, target, sizeof target), 0);
  cr_assert_str_eq(target, "new", "beside it: by its name alone");
  cr_assert_eq(files_count(files_root), 3, "nothing is left");
}

/* A gallery elsewhere, an alias of an alias, and a link that leads nowhere. */
Test(alias, of_other_places) {
  char target[PATH_MAX] = "";
  cr_assert_eq(mkdir(files_path("sub"), 0700), 0);
  files_gallery("g", LK_IP, 3);
  cr_assert_eq(lk_gallery_alias(files_path("sub/a"), files_path("g"), NULL, &error), LK_OK, "%s", error.text);
  expect_leads(files_path("sub/a"), "g");
  cr_assert_eq(lk_gallery_alias(files_path("b"), files_path("sub/a"), NULL, &error), LK_OK, "%s", error.text);
  cr_assert_gt(readlink(files_path("b"), target, sizeof target), 0);
  cr_assert_str_eq(target, "g", "it does not follow the other alias");
  cr_assert_eq(symlink("nowhere", files_path("c")), 0);
  cr_assert_eq(lk_gallery_alias(files_path("c"), files_path("g"), NULL, &error), LK_OK, "%s", error.text);
  expect_leads(files_path("c"), "g");
}

Test(alias, what_is_refused) {
  files_gallery("g", LK_IP, 3);
  files_gallery("h", LK_IP, 3);
  files_write(files_path("file"), "x", 1);
  cr_assert_eq(lk_gallery_alias(files_path("file"), files_path("g"), NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "file: it exists already and is not a symbolic link"), "%s", error.text);
  cr_assert_eq(lk_gallery_alias(files_path("h"), files_path("g"), NULL, &error), LK_EEXIST, "a gallery");
  cr_assert_eq(lk_gallery_alias(files_path("g"), files_path("g"), NULL, &error), LK_EEXIST, "itself");
  cr_assert_eq(lk_gallery_alias(files_path(".a"), files_path("g"), NULL, &error), LK_EINVAL);
  cr_assert_eq(lk_gallery_alias(files_path("a b"), files_path("g"), NULL, &error), LK_EINVAL);
  cr_assert_eq(lk_gallery_alias("/", files_path("g"), NULL, &error), LK_EINVAL);
  cr_assert_eq(lk_gallery_alias(files_path("a"), files_path("none"), NULL, &error), LK_EGALLERY);
  cr_assert_eq(lk_gallery_alias(files_path("a"), files_root, NULL, &error), LK_EIO, "no gallery");
  cr_assert_eq(files_count(files_root), 3);
  expect_leads(files_path("h"), "h");
}

Test(alias, a_file_that_comes_late_stays) {
  size_t size;
  files_gallery("g", LK_IP, 3);
  made_meanwhile = files_path("a");
  cr_assert_eq(lk_gallery_alias(files_path("a"), files_path("g"), NULL, &error), LK_EEXIST);
  char *data = files_read(files_path("a"), &size);
  cr_assert(size == 4 && memcmp(data, "mine", 4) == 0);
  cr_assert_eq(files_count(files_root), 2, "nothing else");
  free(data);
}

/* Rules follow the name in the manifest, and an open gallery the folder that it was opened in. */
Test(alias, an_open_gallery_keeps_its_rules) {
  static const char permit[] = "policy: 1\nname: t\nrules:\n- {id: all, effect: permit, text: yes}\n";
  static const char forbid[] = "policy: 1\nname: t\nrules:\n- {id: all, effect: permit, text: yes}\n- {id: old, "
                               "effect: forbid, text: no, galleries: old}\n";
  float vector[1];
  files_enroll(files_gallery("old", LK_IP, 1), (float[]){1}, 1, 1, NULL);
  files_enroll(files_gallery("new", LK_IP, 1), (float[]){2}, 1, 1, NULL);
  files_write(files_path("old/p.yaml"), forbid, strlen(forbid));
  files_write(files_path("new/p.yaml"), permit, strlen(permit));
  lk_binding binding = {.policy = files_path("old/p.yaml")};
  cr_assert_eq(lk_gallery_alias(files_path("a"), files_path("old"), NULL, &error), LK_OK);
  cr_assert_eq(lk_gallery_bind(files_path("a"), &binding, &error), LK_OK, "%s", error.text);
  lk_gallery *gallery = files_open(files_path("a"));
  cr_assert_eq(lk_gallery_export(gallery, 0, 1, NULL, vector, &error), LK_EPOLICY, "by the manifest's name");
  cr_assert_eq(lk_gallery_alias(files_path("a"), files_path("new"), NULL, &error), LK_OK);
  cr_assert_eq(lk_gallery_bind(files_path("old"), &binding, &error), LK_OK, "%s", error.text);
  sleep(2); /* rules are followed within a second */
  cr_assert_eq(lk_gallery_export(gallery, 0, 1, NULL, vector, &error), LK_EPOLICY, "by the same rules");
  lk_gallery_close(gallery);
}

static atomic_bool ended;

static void *swing(void *context) {
  for (int i = 0; i < 300; i++)
    cr_assert_eq(lk_gallery_alias(context, files_path(i % 2 == 0 ? "new" : "old"), NULL, NULL), LK_OK);
  atomic_store(&ended, true);
  return NULL;
}

/* There is no moment without a gallery. */
Test(alias, moves_in_one_step) {
  pthread_t thread;
  char alias[PATH_MAX];
  strcpy(alias, files_path("a"));
  files_gallery("old", LK_IP, 3);
  files_gallery("new", LK_IP, 3);
  cr_assert_eq(lk_gallery_alias(alias, files_path("old"), NULL, &error), LK_OK);
  cr_assert_eq(pthread_create(&thread, NULL, swing, alias), 0);
  while (!atomic_load(&ended)) {
    lk_gallery *gallery;
    cr_assert_eq(lk_gallery_open(alias, &gallery, &error), LK_OK, "%s", error.text);
    lk_gallery_close(gallery);
  }
  pthread_join(thread, NULL);
}
