/* Who may change a gallery that is served. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/live/changing.h"

static process worker, other, p;

static void teardown(void) {
  process_close(&p);
  process_close(&other);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(serving, .init = e2e_setup_with_redis, .fini = teardown);

Test(serving, a_command_may_not_change_what_a_worker_owns) {
  char who[64];
  worker_start(&worker, NULL);
  snprintf(who, sizeof who, "process %d", (int)worker.pid);
  EXPECT(&p, 1, "another process is changing this gallery", "delete", faces, "--key", "t0");
  cr_assert_not_null(strstr(process_log(&p), who), "'%s' is not in: %s", who, process_log(&p));
  EXPECT(&p, 1, who, "enroll", faces, probes);
  EXPECT(&p, 1, who, "compact", faces);
  EXPECT(&p, 0, "", "identify", faces, probes, "-k", "1");
  worker_stop(&worker);
  EXPECT(&p, 0, "", "delete", faces, "--key", "t0");
}

/* The second worker searches as well, and has what the first one changes. */
Test(serving, of_two_workers_of_a_folder_the_second_follows) {
  char entry[CHANGING_ID], who[64];
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
  snprintf(who, sizeof who, "process %d", (int)worker.pid);
  worker_start(&other, NULL);
  cr_assert_not_null(strstr(process_log(&other), "does not change the gallery faces, it follows it"), "%s",
                     process_log(&other));
  cr_assert_not_null(strstr(process_log(&other), who), "%s", process_log(&other));
  for (uint32_t i = 0; i < 20; i++) {
    char id[16], labels[64];
    snprintf(id, sizeof id, "e%u", i);
    snprintf(labels, sizeof labels, "key\nnew-%u\n", i);
    changing_send(&redis, id, "enroll", changing_vector(i), "labels", labels, NULL);
    cr_assert_eq(changing_expect(&redis, id, entry), 1);
    snprintf(labels, sizeof labels, "new-%u", i);
    cr_assert(changing_finds(&redis, changing_vector(i), labels, entry));
  }
  worker_stop(&worker);
  cr_assert(changing_finds(&redis, changing_vector(19), "new-19", entry));
  worker_stop(&other);
}

Test(serving, a_worker_that_follows_changes_nothing) {
  worker_start(&worker, "--follow", NULL);
  cr_assert_null(strstr(process_log(&worker), "does not change"), "%s", process_log(&worker));
  changing_send(&redis, "d", "delete", NULL, "keys", "t0", NULL);
  expect_reply("me", "d", "EBUSY", "the gallery cannot be changed now: no worker");
  EXPECT(&p, 0, "", "delete", faces, "--key", "t0");
  worker_stop(&worker);
}
