#include "engine/queue/client/window.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/queue/client/missing.h"

static lk_window window;
static lk_redis_reply *const some_reply = (lk_redis_reply *)&window;

static void answer(uint64_t number) { lk_window_job_at(&window, number)->reply = some_reply; }

static void expect_missing(const char *words) {
  const lk_vectors probes = {.rows = 1001};
  const lk_client_job job = {.probes = &probes, .job_probes = 10};
  lk_error text;
  lk_missing_describe(&job, &window, &text);
  cr_assert_str_eq(text.text, words);
}

static void open_window(uint64_t jobs, size_t job_bytes, uint64_t opened) {
  lk_window_make(&window, jobs, job_bytes);
  lk_window_open(&window);
  cr_assert_eq(window.opened, opened, "%llu", (unsigned long long)window.opened);
}

Test(window, is_bounded_in_jobs_and_bytes) {
  open_window(1000, 1000, 64);
  open_window(10, 1000, 10);
  open_window(1000, 10 << 20, 6);
  open_window(1000, (size_t)1 << 40, 2);
  open_window(1000, 0, 64);
}

/* Jobs that are on their way stay there when the window becomes smaller. */
Test(window, grows_only_as_far_as_it_has_room) {
  open_window(1000, 1000, 64);
  window.job_bytes = 10 << 20;
  for (uint64_t i = 0; i < 59; i++) {
    window.first++;
    lk_window_open(&window);
    cr_assert_eq(window.opened, i < 58 ? 64 : 65, "%d", (int)i);
  }
}

Test(window, what_is_not_answered_is_sent_again) {
  open_window(3, 1, 3);
  cr_assert(lk_window_has_unsent(&window));
  for (uint64_t i = 0; i < 3; i++) lk_window_job_at(&window, i)->sent = true;
  cr_assert(!lk_window_has_unsent(&window));
  cr_assert_eq(lk_window_oldest(&window), 0);
  answer(0);
  cr_assert_eq(lk_window_oldest(&window), 1);
  lk_window_resend(&window);
  cr_assert(lk_window_has_unsent(&window));
  answer(1);
  answer(2);
  cr_assert(!lk_window_has_unsent(&window));
  cr_assert_eq(lk_window_oldest(&window), 3);
}

Test(window, missing_probes) {
  open_window(101, 1, 64);
  expect_missing("not answered: probes 0 to 1000");
  answer(0);
  answer(1);
  answer(63);
  expect_missing("not answered: probes 20 to 629, 640 to 1000");
  window.first = 64;
  lk_window_open(&window);
  cr_assert_eq(window.opened, 101);
  answer(99);
  expect_missing("not answered: probes 640 to 989, 1000 to 1000");
  for (uint64_t i = 64; i < 101; i += 2) answer(i);
  answer(65);
  expect_missing("not answered: probes 670 to 679, 690 to 699, 710 to 719, 730 to 739, 750 to 759, 770 to 779, "
                 "790 to 799, 810 to 819, and 80 more");
}
