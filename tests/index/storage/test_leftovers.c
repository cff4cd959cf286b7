#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/storage/leftovers.h"
#include "tests/support/files.h"

TestSuite(leftovers, .init = files_setup, .fini = files_teardown);

static lk_manifest_segment segments[] = {{.id = 1}, {.id = 1000007}};
static const lk_manifest manifest = {.next_file = 1000008,
                                     .segments = segments,
                                     .segments_count = 2,
                                     .state = {.id = 3},
                                     .journals =
                                         {
                                             {.id = 4},
                                             {.id = 5},
                                         },
                                     .journals_count = 2};

/* What is the gallery's, or not ours to judge. */
static const char *const stay[] = {
    "MANIFEST", "LOCK", "segment-000001.lks", "segment-1000007.lks", "state-000003.lkx", "journal-000004.lkj",
    "journal-000005.lkj", "audit-00ff.head", "audit-00ff.head.new", "notes.new", ".new", "new",
    /* not as we write names */
    "segment-2.lks", "segment-0000002.lks", "segment-+00002.lks", "segment- 00002.lks", "segment-00002x.lks",
    "segment-000002.lkx", "segment-000002.lks.bak", "segment-000002.lks.new.new", "xsegment-000002.lks", "segment-",
    "segment-4294967298.lks", "Segment-000002.lks", "state-000002.lks", "journal-000002.lkx", "segment-000002",
    "MANIFEST.old", "MANIFEST.new.new"};

static const char *const go[] = {"segment-000000.lks",     "segment-000002.lks",     "segment-000003.lks",
                                 "segment-1000008.lks",    "segment-4294967295.lks", "state-000000.lkx",
                                 "state-000001.lkx",       "state-000004.lkx",       "journal-000000.lkj",
                                 "journal-000003.lkj",     "journal-000006.lkj",     "MANIFEST.new",
                                 "journal-000004.lkj.new", "segment-000001.lks.new", "state-000003.lkx.new"};

enum { STAY = sizeof stay / sizeof stay[0], GO = sizeof go / sizeof go[0] };

static bool is_there(const char *name) { return access(files_path(name), F_OK) == 0; }

static void make_all(void) {
  for (int i = 0; i < STAY; i++) files_write(files_path(stay[i]), "x", 1);
  for (int i = 0; i < GO; i++) files_write(files_path(go[i]), "x", 1);
}

static void check_all(void) {
  for (int i = 0; i < STAY; i++) cr_assert(is_there(stay[i]), "%s", stay[i]);
  for (int i = 0; i < GO; i++) cr_assert_not(is_there(go[i]), "%s", go[i]);
}

Test(leftovers, are_removed_and_nothing_else) {
  lk_error error = {0};
  make_all();
  cr_assert_eq(lk_leftovers_remove(files_folder(files_root), &manifest, &error), LK_OK, "%s", error.text);
  check_all();
}

/* A state of id 0 is none, and a journal beyond the count is none. */
Test(leftovers, of_a_manifest_without_state_and_journals) {
  lk_manifest bare = manifest;
  bare.state.id = 0;
  bare.journals_count = 1;
  make_all();
  cr_assert_eq(lk_leftovers_remove(files_folder(files_root), &bare, NULL), LK_OK);
  cr_assert(is_there("journal-000004.lkj") && !is_there("journal-000005.lkj"));
  cr_assert(!is_there("state-000003.lkx") && !is_there("state-000000.lkx"));
}

Test(leftovers, a_link_goes_and_its_target_stays) {
  files_write(files_path("victim"), "x", 1);
  cr_assert_eq(symlink("victim", files_path("segment-000002.lks")), 0);
  cr_assert_eq(lk_leftovers_remove(files_folder(files_root), &manifest, NULL), LK_OK);
  cr_assert(is_there("victim") && files_count(files_root) == 1);
}

/* All others go. */
Test(leftovers, what_cannot_be_removed_is_reported) {
  lk_error error;
  make_all();
  cr_assert_eq(unlink(files_path("state-000001.lkx")), 0);
  cr_assert_eq(mkdir(files_path("state-000001.lkx"), 0700), 0);
  cr_assert_eq(lk_leftovers_remove(files_folder(files_root), &manifest, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/state-000001.lkx: cannot remove a file that the manifest does not name: "),
                     "%s", error.text);
  cr_assert_eq(rmdir(files_path("state-000001.lkx")), 0);
  check_all();
}
