/* The functions with which a worker becomes the owner of a gallery's log, and gives back to it what Redis lost. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/functions/log_calls.h"

static void setup(void) {
  calls_setup();
  log_settle();
}

TestSuite(owner, .init = setup, .fini = calls_teardown);

static void expect_state(const char *pattern) {
  expect_redis(pattern, "HMGET", FACES_STATE, "seq", "hash", "number", "term", "owner", "worker", "acked", NULL);
}

Test(owner, a_new_log_is_whose_comes_first) {
  expect_call("(OWNER 8 0 0)", LK_OWN, "2", FACES_LOG, FACES_STATE, "a", "worker a", "60000", "0", "0-0", ZEROS, "7",
              "40", NULL);
  expect_state("(0 " ZEROS " 40 8 a worker a 0)");
  expect_own("(OWNED worker a [1-9]*)", "b", &log_nothing);
  for (int i = 0; i < 2; i++) expect_own("(OWNER 8 0 0)", "a", &log_nothing);
  deliver("1-1", "w");
  expect_mutate("(LOGGED *-* 1 40)", "1-1", "j1");
}

static void own_shortly(const char *pattern, const char *nonce) {
  expect_call(pattern, LK_OWN, "2", FACES_LOG, FACES_STATE, nonce, nonce, "30", "0", "0-0", ZEROS, "0", "0", NULL);
}

/* Who comes back in time has lost nothing; else another owns it, in a term of its own. */
Test(owner, a_lease_runs_out) {
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  own_shortly("(OWNED a *)", "b");
  own_shortly("(OWNER 1 0 0)", "a");
  sleep_ms(40);
  own_shortly("(OWNER 1 0 0)", "a");
  sleep_ms(40);
  expect_own("(OWNER 2 0 0)", "b", &log_nothing);
  own_shortly("(OWNED b *)", "a");
  expect_state("(0 * 2 b b 0)");
}

/* Redis' clock was set back: the lease is no longer than the caller's. */
Test(owner, no_lease_lasts_for_ever) {
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  redis_do(&redis, "HSET", FACES_STATE, "until", "9007199254740991", NULL);
  own_shortly("(OWNED a 30)", "b");
  sleep_ms(40);
  own_shortly("(OWNER 2 0 0)", "b");
}

/* It has the log to itself while it reads, but owns it only then. */
Test(owner, who_is_behind_reads_first) {
  log_entry entries[3];
  log_three_of(entries);
  log_end_lease();
  expect_own("(BEHIND 1 3)", "b", &log_nothing);
  expect_own("(OWNED b *)", "a", &entries[2]);
  deliver("1-4", "w");
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_own("(BEHIND 1 3)", "b", &entries[1]);
  expect_own("(OWNER 2 3 0)", "b", &entries[2]);
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}

Test(owner, what_was_trimmed_is_known_by_what_follows) {
  log_entry entries[3];
  log_three_of(entries);
  log_end_lease();
  redis_do(&redis, "XDEL", FACES_LOG, entries[0].id, NULL);
  expect_own("(BEHIND 1 3)", "b", &entries[0]);
  expect_own("(DIVERGED 3 *)", "b", &log_nothing);
  redis_do(&redis, "XDEL", FACES_LOG, entries[1].id, NULL);
  expect_own("(DIVERGED 3 *)", "b", &entries[0]);
  redis_do(&redis, "XDEL", FACES_LOG, entries[2].id, NULL);
  expect_own("(OWNER 2 3 0)", "b", &entries[2]);
}

/* Nothing is taken from anybody. */
Test(owner, another_history_is_not_this_log) {
  log_entry entries[3], other;
  char ends[64];
  log_three_of(entries);
  log_end_lease();
  snprintf(ends, sizeof ends, "(DIVERGED 3 %s)", log_hash(&entries[2]));
  for (int i = 0; i < 3; i++) {
    other = entries[i];
    strcpy(other.words[7], ONES);
    expect_own(ends, "b", &other);
  }
  strcpy(other.id, "1-1");
  strcpy(other.words[1], "2");
  expect_own(ends, "b", &other);
  expect_redis("(a a 1)", "HMGET", FACES_STATE, "owner", "worker", "until", NULL);
  expect_own("(OWNER 1 3 0)", "a", &entries[2]);
}

/* It cannot be that Redis has it all, whatever Redis believes. */
Test(owner, an_owner_that_has_applied_more_closes_the_log) {
  log_entry entries[3], more;
  log_three_of(entries);
  more = entries[2];
  strcpy(more.words[1], "4");
  expect_own("(REWOUND 3 *)", "a", &more);
  deliver("1-4", "w");
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
}

/* Its functions are in the same run, which forgets what it knew. */
Test(owner, functions_that_are_loaded_again_know_no_owner) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "FUNCTION", "LOAD", "REPLACE", lk_functions_library, NULL);
  log_settle();
  deliver("1-4", "w");
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}

Test(owner, a_redis_that_was_restarted_waits_for_the_owner) {
  log_entry entries[3];
  redis_do(&redis, "CONFIG", "SET", "appendonly", "yes", NULL);
  cr_assert(redis_reaches(&redis, 1, "EVAL",
                          "return redis.call('INFO', 'persistence'):find('aof_rewrite_in_progress:0') and 1 or 0", "0",
                          NULL));
  redis.appendonly = true;
  log_three_of(entries);
  log_restart();
  log_settle();
  deliver("1-4", "w");
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_call("(LOST a)", LK_ACKNOWLEDGE, "2", FACES_STATE, FACES_MY_REPLIES, "a", "1", "3", "1", "j3", "r", NULL);
  expect_redis("0", "EXISTS", FACES_MY_REPLIES, NULL);
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}

/* Redis comes back with the first entry only. The owner gives it the others, as they were, and goes on behind them; a
 * job of theirs, which waits again, is not logged twice. */
Test(owner, what_redis_lost_is_appended_again) {
  log_entry entries[3], again[4];
  char ends[64];
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  log_add("1-1", "j1");
  redis_do(&redis, "SAVE", NULL);
  log_add("1-2", "j2");
  log_add("1-3", "j3");
  log_read(entries, 3);
  log_restart();
  log_settle();
  deliver("1-2", "w");
  snprintf(ends, sizeof ends, "(REWOUND 1 %s)", log_hash(&entries[0]));
  expect_own(ends, "a", &entries[2]);
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-2", "j2");
  expect_append("(REFUSED the log ends at entry 1)", "a", &entries[2]);
  expect_append("(REFUSED the caller has no lease of the log)", "b", &entries[1]);
  for (int i = 1; i < 3; i++) expect_append("(APPENDED)", "a", &entries[i]);
  expect_append("(REFUSED the log ends at entry 3)", "a", &entries[2]);
  expect_mutate("(KNOWN)", "1-2", "j2");
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_append("(REFUSED the log has lost nothing)", "a", &entries[2]);
  deliver("1-4", "w");
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
  log_read(again, 4);
  for (int i = 0; i < 3; i++) {
    cr_assert_str_eq(again[i].id, entries[i].id);
    cr_assert_arr_eq(again[i].words, entries[i].words, sizeof entries[i].words);
  }
  expect_redis("vectors", "GET", FACES_VECTORS "3", NULL);
  expect_call("(WAITING )", LK_SUBMIT, "1", FACES_LO, "id", "j3", "to", "me", NULL);
}

/* What the journal has no more, Redis need not have either. */
Test(owner, an_emptied_redis_begins_where_the_owner_does) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(REWOUND 0 " ZEROS ")", "a", &entries[2]);
  expect_state("(0 0 0 0 a a 0)");
  expect_append("(APPENDED)", "a", &entries[1]);
  expect_append("(APPENDED)", "a", &entries[2]);
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  deliver("1-4", "w");
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}

/* The numbers and the term go on above the largest, whoever has it. */
Test(owner, what_is_appended_raises_numbers_and_term) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(REWOUND *)", "a", &entries[2]);
  strcpy(entries[0].words[3], "9");
  expect_append("(APPENDED)", "a", &entries[0]);
  expect_append("(APPENDED)", "a", &entries[1]);
  expect_state("(2 * 4 9 a a 0)");
  expect_call("(OWNER 10 2 0)", LK_OWN, "2", FACES_LOG, FACES_STATE, "a", "a", "60000", "2", entries[1].id,
              log_hash(&entries[1]), "5", "100", NULL);
  expect_state("(2 * 100 10 a a 0)");
}

/* Somebody sets the state back by hand, or deletes it, in one run of Redis. */
Test(owner, a_state_that_was_changed_closes_the_log) {
  log_entry entries[3];
  log_three_of(entries);
  deliver("1-4", "w");
  redis_do(&redis, "HSET", FACES_STATE, "seq", "1", "hash", log_hash(&entries[0]), NULL);
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_own("(REWOUND 1 *)", "a", &entries[2]);
  redis_do(&redis, "DEL", FACES_STATE, NULL);
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}

Test(owner, only_what_was_logged_is_appended) {
  log_entry entries[3], other;
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(REWOUND *)", "a", &entries[2]);
  static const int hashed[] = {1, 5, 9, 11, 13, 15, 17};
  for (int i = 0; i < 7; i++) {
    other = entries[0];
    strcpy(other.words[hashed[i]], i == 1 ? ONES : "5");
    expect_append("(REFUSED the hash is not that of the entry)", "a", &other);
  }
  expect_append("(APPENDED)", "a", &entries[0]);
  other = entries[1];
  strcpy(other.id, entries[0].id);
  expect_append("!ERR The ID specified in XADD is equal or smaller*", "a", &other);
  log_end_lease();
  expect_append("(REFUSED the caller has no lease of the log)", "a", &entries[1]);
  expect_redis("0", "EXISTS", FACES_VECTORS "9", NULL);
  expect_redis("1", "XLEN", FACES_LOG, NULL);
}

/* Of another history, in which the entry before was another one. */
Test(owner, only_what_follows_is_appended) {
  log_entry entries[3], others[2];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  log_add("1-4", "j4");
  log_add("1-5", "j5");
  log_read(others, 2);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(REWOUND *)", "a", &entries[2]);
  expect_append("(APPENDED)", "a", &entries[0]);
  expect_append("(REFUSED the log ends at entry 1)", "a", &others[1]);
  expect_append("(APPENDED)", "a", &entries[1]);
}

/* Nothing is changed. */
Test(owner, what_redis_refuses_changes_nothing) {
  static const char *const forbidden[] = {"-xadd", "-set", "-hset"};
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, FACES_VECTORS "1", NULL);
  expect_own("(REWOUND *)", "a", &entries[2]);
  for (int i = 0; i < 3; i++) {
    redis_do(&redis, "ACL", "SETUSER", "default", "+@all", forbidden[i], NULL);
    expect_append("!NOPERM*", "a", &entries[0]);
    expect_state("(0 0 0 0 a a 0)");
    expect_redis("0", "EXISTS", FACES_LOG, FACES_VECTORS "1", NULL);
  }
  expect_own("!NOPERM*", "a", &entries[2]);
  redis_do(&redis, "ACL", "SETUSER", "default", "+@all", NULL);
  redis_do(&redis, "SET", FACES_LOG, "text", NULL);
  expect_append("!WRONGTYPE*", "a", &entries[0]);
  expect_own("!WRONGTYPE*", "a", &entries[2]);
  expect_redis("0", "EXISTS", FACES_VECTORS "1", NULL);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  redis_do(&redis, "SET", FACES_STATE, "text", NULL);
  expect_append("!WRONGTYPE*", "a", &entries[0]);
  expect_own("!WRONGTYPE*", "a", &entries[2]);
}

#define KEYS "2", FACES_LOG, FACES_STATE
#define FIELDS "op", "delete", "id", "j", "to", "me"
#define APPEND LK_APPEND, KEYS, "a", "1-1", "", "1", "1", ZEROS, ONES, "0", "0"

Test(owner, own_and_append_check_what_they_are_given) {
  static char long_name[130];
  memset(long_name, 'x', 129);
  const struct {
    const char *words[24], *expected;
  } cases[] = {
      {{LK_OWN, "1", FACES_LOG, "a", "w", "9", "0", "0-0", ZEROS, "0", "0"}, "wrong number of keys, 1"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ZEROS, "0"}, "wrong number of arguments, 7"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ZEROS, "0", "0", "0"}, "argument 9 is not rebase or leave"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ZEROS, "0", "0", "rebase", "0"}, "wrong number of arguments, 10"},
      {{LK_OWN, "2", FACES_STATE, FACES_STATE, "a", "w", "9", "0", "0-0", ZEROS, "0", "0"}, "key 1 is not the log"},
      {{LK_OWN, "2", FACES_LOG, "lk:{other}:log:state", "a", "w", "9", "0", "0-0", ZEROS, "0", "0"}, "key 2 is not"},
      {{LK_OWN, KEYS, "", "w", "9", "0", "0-0", ZEROS, "0", "0"}, "argument 1 is empty"},
      {{LK_OWN, KEYS, "a", "", "9", "0", "0-0", ZEROS, "0", "0"}, "argument 2 is empty"},
      {{LK_OWN, KEYS, "a", "w", "0", "0", "0-0", ZEROS, "0", "0"}, "argument 3 is not a number of ms"},
      {{LK_OWN, KEYS, "a", "w", "9", "-1", "0-0", ZEROS, "0", "0"}, "argument 4 is not a whole number"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0", ZEROS, "0", "0"}, "argument 5 is not the id"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", "0", "0", "0"}, "argument 6 is not a hash"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ONES, "0", "0"}, "argument 6 is not the hash of entry 0"},
      {{LK_OWN, KEYS, "a", "w", "9", "1", "1-1", ZEROS, "0", "0"}, "argument 6 is not the hash of entry 1"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ZEROS, "x", "0"}, "argument 7 is not a whole number"},
      {{LK_OWN, KEYS, "a", "w", "9", "0", "0-0", ZEROS, "0", "1.5"}, "argument 8 is not a whole number"},
      {{LK_APPEND, "1", FACES_LOG, "a"}, "wrong number of keys, 1"},
      {{APPEND, "op", "delete", "id", "j"}, "wrong number of arguments, 13"},
      {{APPEND, FIELDS, "x"}, "the last field has no value"},
      {{APPEND, "op", "delete", "to", "me", "id", "j"}, "argument 12 is not the field id"},
      {{APPEND, "op", "delete", "id", "", "to", "me"}, "the field id is missing"},
      {{APPEND, "op", "delete", "id", "j", "to", long_name}, "the field to is longer"},
      {{APPEND, FIELDS, "hash", "x"}, "argument 16 is a field of the log, hash"},
      {{LK_APPEND, KEYS, "", "1-1", "", "1", "1", ZEROS, ONES, "0", "0", FIELDS}, "argument 1 is empty"},
      {{LK_APPEND, KEYS, "a", "*", "", "1", "1", ZEROS, ONES, "0", "0", FIELDS}, "argument 2 is not the id"},
      {{LK_APPEND, KEYS, "a", "0-0", "", "1", "1", ZEROS, ONES, "0", "0", FIELDS}, "argument 2 is not the id"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "0", "1", ZEROS, ONES, "0", "0", FIELDS}, "argument 4 is not the number"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "1", "-", ZEROS, ONES, "0", "0", FIELDS}, "argument 5 is not a whole"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "1", "1", "x", ONES, "0", "0", FIELDS}, "argument 6 is not a hash"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "1", "1", ZEROS, "x", "0", "0", FIELDS}, "argument 7 is not a hash"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "1", "1", ZEROS, ONES, "-", "0", FIELDS}, "argument 8 is not a whole"},
      {{LK_APPEND, KEYS, "a", "1-1", "", "1", "1", ZEROS, ONES, "0", "-", FIELDS}, "argument 9 is not a whole"},
      {{LK_APPEND, "2", FACES_LOG, FACES_LO, "a", "1-1", "", "1", "1", ZEROS, ONES, "0", "0", FIELDS}, "key 2 is not"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(cases[i].expected, cases[i].words);
}
