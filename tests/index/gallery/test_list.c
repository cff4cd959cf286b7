#include "index/gallery/list.h"

#include <criterion/criterion.h>
#include <likeness/owner.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "index/gallery/unchecked.h"
#include "tests/support/files.h"

enum { DIM = 8, MOST = 4000 };

static lk_owner *owner;
static lk_gallery *gallery;
static lk_error error;

static void setup(void) {
  files_setup();
  cr_assert_eq(lk_owner_open(files_gallery("g", LK_COSINE, DIM), &owner, &error), LK_OK, "%s", error.text);
  gallery = lk_owner_gallery(owner);
}

static void teardown(void) {
  lk_owner_close(owner);
  files_teardown();
}

TestSuite(list, .init = setup, .fini = teardown);

/* Enrolls rows with the keys k<first>, k<first + 1>, ... */
static void enroll(random_state *random, uint32_t first, uint32_t rows) {
  float *data = files_random(random, rows, DIM);
  lk_vectors vectors = files_vectors(data, rows, DIM);
  lk_label *labels = calloc(rows, sizeof *labels);
  char(*keys)[16] = calloc(rows, sizeof *keys);
  for (uint32_t i = 0; i < rows; i++) {
    snprintf(keys[i], sizeof keys[i], "k%u", first + i);
    labels[i] = (lk_label){.key = lk_text_of(keys[i]), .subject = lk_text_of("s"), .tags = first + i};
  }
  lk_enrollment enrollment = {.vectors = &vectors, .labels = labels, .replace = true};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
  free(keys);
  free(labels);
  free(data);
}

static void change(lk_change change, uint32_t key) {
  char text[16];
  snprintf(text, sizeof text, "k%u", key);
  change.key = lk_text_of(text);
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void remove_key(uint32_t key) { change((lk_change){.kind = LK_CHANGE_DELETE_KEY}, key); }

static void delete_everybody(void) {
  lk_change everybody = {.kind = LK_CHANGE_DELETE_SUBJECT, .subject = lk_text_of("s")};
  cr_assert_eq(lk_owner_change(owner, &everybody, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static uint32_t key_of(const lk_template *t) {
  char text[16];
  snprintf(text, sizeof text, "%.*s", (int)t->key.length, t->key.bytes);
  return (uint32_t)strtoul(text + 1, NULL, 10);
}

static lk_gallery_page page_from(uint64_t number, uint32_t most) {
  lk_gallery_page page;
  cr_assert_eq(lk_gallery_page_open(gallery, number, most, &page, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_page_check(&page, &error), LK_OK);
  cr_assert(page.count <= most && (page.more || page.next == 0));
  for (uint32_t i = 0; i < page.count; i++) {
    cr_assert_geq(page.templates[i].number, number);
    cr_assert(i == 0 || page.templates[i].number > page.templates[i - 1].number);
    cr_assert(!page.more || page.templates[i].number < page.next);
  }
  return page;
}

Test(list, nobody) {
  lk_gallery_page page = page_from(0, 10);
  cr_assert(page.count == 0 && !page.more && page.sight.living == 0);
  lk_gallery_page_close(&page);
}

Test(list, pages_of_every_size_from_every_number) {
  random_state random = {3};
  enroll(&random, 0, 20);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  enroll(&random, 20, 15);
  for (uint64_t from = 0; from < 40; from++)
    for (uint32_t most = 1; most < 40; most++) {
      lk_gallery_page page = page_from(from, most);
      uint32_t there = from < 35 ? 35 - (uint32_t)from : 0;
      cr_assert_eq(page.count, there < most ? there : most, "from %u, %u", (uint32_t)from, most);
      cr_assert_eq(page.more, there > most, "from %u, %u", (uint32_t)from, most);
      cr_assert(!page.more || page.next == from + most);
      for (uint32_t i = 0; i < page.count; i++) cr_assert_eq(page.templates[i].number, from + i);
      lk_gallery_page_close(&page);
    }
  lk_gallery_page page = page_from(UINT64_MAX, 1000);
  cr_assert(page.count == 0 && !page.more);
  lk_gallery_page_close(&page);
}

Test(list, templates_are_as_they_are_now) {
  random_state random = {4};
  enroll(&random, 0, 3);
  change((lk_change){.kind = LK_CHANGE_TAG, .tags = 64, .mask = 64}, 1);
  change((lk_change){.kind = LK_CHANGE_EXPIRE, .expires_ms = 1}, 2);
  remove_key(0);
  lk_gallery_page page = page_from(0, 10);
  cr_assert_eq(page.count, 2, "whoever has expired is there until it is erased");
  cr_assert(key_of(&page.templates[0]) == 1 && page.templates[0].tags == 65);
  cr_assert(key_of(&page.templates[1]) == 2 && page.templates[1].expires_ms == 1);
  cr_assert(lk_text_equal(page.templates[0].subject, lk_text_of("s")) && page.sight.living == 2);
  cr_assert_eq(lk_gallery_count_expired(gallery), 1);
  remove_key(2);
  cr_assert_eq(lk_gallery_count_expired(gallery), 0);
  change((lk_change){.kind = LK_CHANGE_EXPIRE, .expires_ms = lk_clock_unix_ms() + 3600000}, 1);
  cr_assert_eq(lk_gallery_count_expired(gallery), 0);
  cr_assert(key_of(&page.templates[1]) == 2, "a page stays what it was");
  lk_gallery_page_close(&page);
}

/* Changes, replacements and folds between two pages. */
static void disturb(random_state *random, bool *stays, uint32_t *enrolled) {
  for (int i = random_below(random, 4); i > 0; i--) {
    uint32_t key = random_below(random, *enrolled);
    if (!stays[key]) remove_key(key);
  }
  if (random_one_in(random, 3) && *enrolled + 30 < MOST) {
    for (uint32_t i = 0; i < 30; i++) stays[*enrolled + i] = random_one_in(random, 2);
    enroll(random, *enrolled, 30);
    *enrolled += 30;
  }
  if (random_one_in(random, 12)) cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
}

Test(list, who_stays_is_listed_once_whatever_is_deleted_meanwhile) {
  static bool stays[MOST];
  static uint32_t listed[MOST];
  for (uint32_t seed = 1; seed <= 12; seed++) {
    random_state random = {seed};
    uint32_t enrolled = 400, before = enrolled;
    memset(listed, 0, sizeof listed);
    for (uint32_t i = 0; i < MOST; i++) stays[i] = random_one_in(&random, 2);
    enroll(&random, 0, enrolled);
    lk_gallery_page page = page_from(0, 1), next;
    uint64_t from = page.templates[0].number;
    lk_gallery_page_close(&page);
    for (bool more = true; more;) {
      disturb(&random, stays, &enrolled);
      next = page_from(from, 1 + random_below(&random, 25));
      for (uint32_t i = 0; i < next.count; i++) listed[key_of(&next.templates[i])]++;
      more = next.more;
      from = next.next;
      lk_gallery_page_close(&next);
    }
    for (uint32_t i = 0; i < enrolled; i++) {
      cr_assert_leq(listed[i], 1, "seed %u: k%u is listed %u times", seed, i, listed[i]);
      cr_assert(i >= before || !stays[i] || listed[i] == 1, "seed %u: k%u is missing", seed, i);
    }
    delete_everybody();
  }
}

/* A page does not keep changes waiting, however many were deleted. */
Test(list, a_page_looks_at_so_many_rows) {
  enum { ROWS = 70000 };
  random_state random = {5};
  for (uint32_t first = 0; first < ROWS; first += 10000) enroll(&random, first, 10000);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  delete_everybody();
  enroll(&random, ROWS, 1);
  lk_gallery_page page = page_from(0, 10);
  cr_assert(page.count == 0 && page.more && page.next == 1 << 16, "%u, %llu", page.count,
            (unsigned long long)page.next);
  lk_gallery_page_close(&page);
  page = page_from(1 << 16, 10);
  cr_assert(page.count == 1 && !page.more && page.templates[0].number == ROWS);
  lk_gallery_page_close(&page);
}
