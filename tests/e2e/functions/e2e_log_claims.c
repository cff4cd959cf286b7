/* Who comes first to a log of which Redis has lost something. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/e2e/functions/log_calls.h"

static void setup(void) {
  calls_setup();
  log_settle();
}

TestSuite(claims, .init = setup, .fini = calls_teardown);

/* Redis comes back with so many entries, whose last owner is this one. */
static void come_back(const log_entry *entries, int count, const char *last_owner) {
  redis_do(&redis, "DEL", FACES_LOG, NULL);
  for (int i = 0; i < count; i++) {
    const char(*w)[64] = entries[i].words;
    redis_do(&redis, "XADD", FACES_LOG, entries[i].id, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9],
             w[10], w[11], w[12], w[13], w[14], w[15], w[16], w[17], NULL);
  }
  redis_do(&redis, "HSET", FACES_STATE, "seq", log_seq(&entries[count - 1]), "hash", log_hash(&entries[count - 1]),
           "last_owner", last_owner, NULL);
}

static void expect_goes_on_after(const log_entry *last, size_t left) {
  log_entry entries[4];
  deliver("1-4", "w");
  expect_mutate("(LOGGED * 4 *)", "1-4", "j4");
  log_read(entries, left + 1);
  cr_assert_str_eq(entries[left].words[5], log_hash(last));
}

/* The owner's journal has no more what is to be appended: then the log begins anew after the owner's last entry. What
 * Redis still has, and what is not acknowledged there, stays. */
Test(claims, a_log_that_was_rewound_begins_anew) {
  log_entry entries[3];
  log_three_of(entries);
  expect_wish("(OWNER 1 3 0)", "a", &entries[2], "rebase"); /* nothing was lost */
  come_back(entries, 1, "a");
  expect_wish("(OWNED  *)", "b", &entries[2], "rebase");
  expect_own("(REWOUND 1 *)", "a", &entries[2]);
  redis_do(&redis, "ACL", "SETUSER", "default", "-xdel", NULL);
  expect_wish("!NOPERM*", "a", &entries[2], "rebase");
  redis_do(&redis, "ACL", "SETUSER", "default", "+xdel", NULL);
  expect_own("(REWOUND 1 *)", "a", &entries[2]);
  expect_wish("(OWNER 2 3 0)", "a", &entries[2], "rebase");
  expect_redis("1", "EXISTS", FACES_VECTORS "1", NULL);
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_goes_on_after(&entries[2], 1);
}

/* Another worker owned what Redis still has, and may have answered it. */
Test(claims, the_log_of_another_owner_does_not_begin_anew) {
  log_entry entries[3];
  log_three_of(entries);
  come_back(entries, 1, "b");
  expect_own("(REWOUND 1 *)", "a", &entries[2]);
  expect_wish("(DIVERGED 1 *)", "a", &entries[2], "rebase");
  expect_own("(REWOUND 1 *)", "a", &entries[2]);
  expect_redis("1", "XLEN", FACES_LOG, NULL);
  expect_redis("a", "HGET", FACES_STATE, "owner", NULL);
}

Test(claims, an_emptied_log_begins_anew_for_everybody) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_own("(REWOUND 0 *)", "b", &entries[2]);
  expect_wish("(OWNER 2 3 0)", "b", &entries[2], "rebase");
  expect_goes_on_after(&entries[2], 0);
}

Test(claims, only_who_has_the_lease_begins_a_log_anew) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  expect_wish("(REWOUND 0 *)", "b", &entries[2], "rebase");
  expect_wish("(OWNER 2 3 0)", "b", &entries[2], "rebase");
}

static void own_for(const char *pattern, const char *nonce, const log_entry *last, const char *lease_ms) {
  expect_call(pattern, LK_OWN, "2", FACES_LOG, FACES_STATE, nonce, nonce, lease_ms, log_seq(last), last->id,
              log_hash(last), "1", "0", NULL);
}

/* Redis is restarted, and nobody knows yet who has most. */
Test(claims, after_a_restart_all_have_a_lease_to_ask_in) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "SAVE", NULL);
  log_restart();
  redis_do(&redis, "HSET", FACES_STATE, "until", "1", NULL);
  own_for("(OWNED  [1-9]*)", "b", &entries[2], "200");
  own_for("(OWNED  [1-9]*)", "b", &entries[1], "200");
  own_for("(OWNED  [1-9]*)", "c", &entries[2], "60000");
  expect_redis("(a 1)", "HMGET", FACES_STATE, "owner", "until", NULL);
  sleep_ms(210);
  own_for("(OWNER 2 3 0)", "b", &entries[2], "200");
}

/* Redis came back with two of three entries. Who has two waits for who has three, as long as that one asks. */
Test(claims, who_has_most_comes_first) {
  log_entry entries[3];
  log_three_of(entries);
  come_back(entries, 2, "a");
  own_for("(REWOUND 2 *)", "b", &entries[2], "200");
  log_end_lease();
  own_for("(OWNED  [1-9]*)", "c", &entries[1], "200");
  own_for("(OWNED  [1-9]*)", "c", &entries[0], "200");
  own_for("(OWNED  [1-9]*)", "c", &entries[2], "200");
  sleep_ms(210);
  own_for("(BEHIND 1 2)", "c", &entries[0], "200");
  own_for("(OWNER 2 2 0)", "c", &entries[1], "200");
  /* also before an owner */
  own_for("(REWOUND 2 *)", "b", &entries[2], "200");
  own_for("(OWNED  *)", "c", &entries[1], "200");
  expect_append("(APPENDED)", "b", &entries[2]);
  own_for("(OWNER 3 3 0)", "b", &entries[2], "200");
}

/* Of two histories that Redis lost, a later owner went on with the shorter one. */
Test(claims, a_later_term_is_more_than_a_longer_history) {
  log_entry entries[3], later;
  log_three_of(entries);
  come_back(entries, 1, "a");
  log_end_lease();
  later = entries[1];
  strcpy(later.words[3], "2");
  strcpy(later.words[7], ONES);
  expect_own("(REWOUND 1 *)", "b", &later);
  own_for("(OWNED  *)", "a", &entries[2], "60000");
  expect_wish("(OWNED  0)", "b", &later, "leave");
  own_for("(REWOUND 1 *)", "a", &entries[2], "60000");
}

/* Though its log is shorter: the other has another one. */
Test(claims, an_owner_with_a_later_term_has_more) {
  log_entry entries[3], all[4], other;
  log_three_of(entries);
  log_end_lease();
  expect_own("(OWNER 2 3 0)", "b", &entries[2]);
  log_add("1-4", "j4");
  log_read(all, 4);
  expect_own("(OWNER 2 4 0)", "b", &all[3]);
  other = entries[2];
  strcpy(other.words[1], "5");
  expect_own("(OWNED b *)", "a", &other);
  expect_own("(OWNER 2 4 0)", "b", &all[3]);
}

/* Who cannot follow the log is told, whoever owns it. */
Test(claims, who_has_another_history_need_not_wait_to_know) {
  log_entry entries[3], other;
  log_three_of(entries);
  other = entries[2];
  strcpy(other.words[7], ONES);
  expect_own("(DIVERGED 3 *)", "b", &other);
  expect_own("(OWNER 1 3 0)", "a", &entries[2]);
}

/* Also what it claimed. Nobody else's lease ends. */
Test(claims, who_leaves_lets_others_come) {
  log_entry entries[3], more;
  log_three_of(entries);
  expect_wish("(OWNED  0)", "b", &entries[2], "leave");
  expect_own("(OWNED a *)", "b", &entries[2]);
  expect_wish("(OWNED  0)", "a", &entries[2], "leave");
  deliver("1-4", "w");
  expect_mutate("(EBUSY 200 no worker owns the log)", "1-4", "j4");
  expect_own("(OWNER 2 3 0)", "b", &entries[2]);
  more = entries[2];
  strcpy(more.words[1], "4");
  expect_own("(REWOUND 3 *)", "a", &more);
  expect_own("(OWNED  *)", "b", &entries[2]);
  expect_wish("(OWNED  0)", "a", &more, "leave");
  expect_own("(OWNER 3 3 0)", "b", &entries[2]);
}

/* Each entry renews the lease, and who appends still has most. */
Test(claims, who_appends_has_the_lease_meanwhile) {
  log_entry entries[3];
  log_three_of(entries);
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  own_for("(REWOUND 0 *)", "a", &entries[2], "100");
  expect_append("(APPENDED)", "a", &entries[0]);
  sleep_ms(110);
  expect_append("(APPENDED)", "a", &entries[1]);
  sleep_ms(110);
  own_for("(OWNED * *)", "b", &entries[0], "5000");
  log_end_lease();
  own_for("(OWNED * *)", "b", &entries[0], "5000");
  expect_append("(REFUSED the caller has no lease*)", "a", &entries[2]);
}

/* A master that was a replica for a while: others may have owned the log meanwhile. */
Test(claims, a_redis_that_was_a_replica_knows_no_owner) {
  log_entry entries[3];
  log_three_of(entries);
  deliver("1-4", "w");
  redis_do(&redis, "REPLICAOF", "127.0.0.1", "1", NULL);
  redis_do(&redis, "REPLICAOF", "NO", "ONE", NULL);
  sleep_ms(60);
  expect_mutate("(EBUSY 200 no worker has compared*)", "1-4", "j4");
  expect_call("(LOST a)", LK_ACKNOWLEDGE, "2", FACES_STATE, FACES_MY_REPLIES, "a", "1", "3", "1", "j3", "r", NULL);
  log_end_lease();
  log_settle();
  expect_own("(OWNER 2 3 0)", "a", &entries[2]);
  expect_mutate("(LOGGED * 4 6)", "1-4", "j4");
}
