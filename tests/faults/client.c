#include "tests/faults/client.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/queue/keys.h"
#include "tests/faults/reference.h"

enum {
  BURST_MOST = 256,
  READ_MOST = 256,
  AGAIN_AFTER_MS = 4000,
  FORGOTTEN_AFTER_MS = 20000,
  RESTING_MS = 500,
  CANCELS_ONE_IN = 16
};

static void rename_client(client *c) {
  snprintf(c->to, sizeof c->to, "c%u.%u", c->number, c->name++);
  c->name_jobs = 50 + random_below(&c->random, 200);
}

void client_start(client *c, const crowd_options *options, client_kind kind, uint32_t number) {
  *c = (client){.options = options, .kind = kind, .number = number, .random = random_fork(options->seed, 100 + number)};
  rename_client(c);
}

static void disconnect(client *c) {
  lk_redis_close(c->link);
  c->link = NULL;
}

void client_end(client *c) {
  disconnect(c);
  lk_command_free(&c->command);
}

static bool connect_client(client *c) {
  unsigned used = atomic_load(&c->options->store->used);
  if (c->link != NULL && c->linked != used) disconnect(c);
  if (c->link != NULL) return true;
  char url[48];
  lk_address address;
  lk_error error;
  c->linked = used;
  snprintf(url, sizeof url, "redis://127.0.0.1:%d", c->options->store->ports[used]);
  return lk_address_parse(url, &address, &error) == LK_OK && lk_redis_open(&address, &c->link, &error) == LK_OK;
}

/* NULL: broken or refused; either way the client comes back over another connection. */
static lk_redis_reply *receive(client *c) {
  lk_redis_reply *reply = NULL;
  lk_error error;
  if (c->link == NULL) return NULL;
  if (lk_redis_receive(c->link, &reply, &error) == LK_OK && lk_redis_reply_error(reply) == NULL) return reply;
  if (reply == NULL) disconnect(c);
  lk_redis_reply_free(reply);
  return NULL;
}

static lk_redis_reply *call(client *c, size_t count, const char *const *words) {
  lk_redis_reply *reply = NULL;
  lk_error error;
  if (c->link == NULL) return NULL;
  if (lk_redis_call_words(c->link, &reply, &error, count, words) == LK_OK && lk_redis_reply_error(reply) == NULL)
    return reply;
  lk_redis_reply_free(reply);
  disconnect(c);
  return NULL;
}

static void make_job(client *c, bool plain, bool poison) {
  static const uint32_t numbers[] = {1, 1, 1, 1, 1, 2, 3, 8};
  account_job job = {.first = random_below(&c->random, FACES_PROBES), .n = numbers[random_below(&c->random, 8)]};
  if (random_one_in(&c->random, 200)) job.n = LETTER_PROBES_MOST;
  if (plain) job.n = poison ? LETTER_POISON_PROBES : 1;
  job.k = plain || !random_one_in(&c->random, 4) ? REFERENCE_K_MOST : 3;
  job.json = random_one_in(&c->random, 2);
  job.poison = poison;
  job.stream = (!plain && random_one_in(&c->random, 4) ? 0 : STORE_LANES) + lk_keys_lane(lk_text_of(c->to));
  job.digest = reference_digest(job.first, job.n, job.k);
  uint32_t number = account_send(c->options->account, &job);
  if (number != ACCOUNT_FULL) c->unsent[c->unsent_count++] = (client_job){.number = number};
}

void client_poison(client *c) {
  for (int i = 0; i < CROWD_POISONED && c->unsent_count < CLIENT_OPEN_MOST; i++)
    make_job(c, true, i == CROWD_POISONED / 2);
}

/* A job is signed again each time that it is sent: a copy of a signed job would be refused. */
static bool send_one(client *c, uint32_t number) {
  account_job job = account_job_of(c->options->account, number);
  bool signs = c->options->key != NULL && number % 2 == 0;
  letter_write(&c->letter, number, &job, c->to, signs ? c->options->key : NULL);
  lk_command_clear(&c->command);
  if (c->kind == CLIENT_IDEMPOTENT) {
    lk_command_add_string(&c->command, "FCALL");
    lk_command_add_string(&c->command, "lk_submit_5");
    lk_command_add_string(&c->command, "1");
  } else {
    lk_command_add_string(&c->command, "XADD");
  }
  lk_command_add_string(&c->command, store_stream(job.stream));
  if (c->kind != CLIENT_IDEMPOTENT) lk_command_add_string(&c->command, "*");
  letter_add(&c->letter, &c->command);
  return c->link != NULL && lk_redis_send(c->link, &c->command, NULL) == LK_OK;
}

/* The entry that Redis acknowledged: XADD's reply, or that of lk_submit_5. False: it is not accepted. */
static bool read_entry(const lk_redis_reply *reply, lk_entry *entry, bool *kept) {
  size_t length = 0;
  const char *id = lk_redis_reply_string(reply, &length);
  *kept = false;
  if (id == NULL && lk_redis_reply_elements(reply) == 2) {
    const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
    *kept = word != NULL && strcmp(word, "ANSWERED") == 0;
    id = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length);
    if (word == NULL || strcmp(word, "EBUSY") == 0) return false;
  }
  return id != NULL && (lk_entry_parse(id, length, entry) || *kept);
}

static bool is_accepted(client *c, const lk_redis_reply *reply, uint32_t number) {
  lk_entry entry;
  bool kept;
  if (reply == NULL || !read_entry(reply, &entry, &kept)) return false;
  if (!kept) account_accept(c->options->account, number, entry);
  return true;
}

/* Sends in one pipeline what is unsent; what is not acknowledged stays so. */
static void send_unsent(client *c) {
  client_job sending[BURST_MOST];
  uint32_t count = c->unsent_count < BURST_MOST ? c->unsent_count : BURST_MOST, sent = 0;
  if (count > CLIENT_OPEN_MOST - c->open_count) count = CLIENT_OPEN_MOST - c->open_count;
  memcpy(sending, c->unsent, count * sizeof *sending);
  c->unsent_count -= count;
  memmove(c->unsent, c->unsent + count, c->unsent_count * sizeof *c->unsent);
  while (sent < count && send_one(c, sending[sent].number)) sent++;
  for (uint32_t i = 0; i < count; i++) {
    lk_redis_reply *reply = i < sent ? receive(c) : NULL;
    client_job job = {.number = sending[i].number, .since_ms = now_ms()};
    if (is_accepted(c, reply, job.number))
      c->open[c->open_count++] = job;
    else
      c->unsent[c->unsent_count++] = job;
    lk_redis_reply_free(reply);
  }
}

static void take_answers(client *c, const lk_redis_reply *replies) {
  for (size_t i = 0; i < lk_redis_reply_elements(replies); i++) {
    size_t length;
    const char *bytes = lk_redis_reply_string(lk_redis_reply_element(replies, i), &length);
    if (bytes != NULL) account_answer(c->options->account, bytes, length);
  }
}

/* Reads, and removes only what has arrived. Returns how many replies there were; -1: no answer. */
static int read_with_care(client *c, const char *to) {
  char key[64], end[16], first[16];
  snprintf(key, sizeof key, "%s%s", FACES_REPLIES, to);
  snprintf(end, sizeof end, "%d", READ_MOST - 1);
  const char *const range[] = {"LRANGE", key, "0", end}, *const trim[] = {"LTRIM", key, first, "-1"};
  lk_redis_reply *reply = call(c, 4, range);
  if (reply == NULL) return -1;
  int count = (int)lk_redis_reply_elements(reply);
  take_answers(c, reply);
  lk_redis_reply_free(reply);
  snprintf(first, sizeof first, "%d", count);
  if (count > 0) lk_redis_reply_free(call(c, 4, trim));
  return count;
}

/* Tells Redis which answers it need not keep. */
static void forget(client *c, const char *key, const lk_redis_reply *replies) {
  char ids[READ_MOST][16];
  lk_command_clear(&c->command);
  lk_command_add_string(&c->command, "FCALL");
  lk_command_add_string(&c->command, "lk_forget_5");
  lk_command_add_string(&c->command, "1");
  lk_command_add_string(&c->command, key);
  for (size_t i = 0; i < lk_redis_reply_elements(replies) && i < READ_MOST; i++) {
    answer read;
    size_t length;
    const char *bytes = lk_redis_reply_string(lk_redis_reply_element(replies, i), &length);
    if (bytes == NULL || !answer_read(bytes, length, &read)) continue;
    snprintf(ids[i], sizeof ids[i], "%u", read.job);
    lk_command_add_string(&c->command, ids[i]);
  }
  if (c->link != NULL && lk_redis_send(c->link, &c->command, NULL) == LK_OK) lk_redis_reply_free(receive(c));
}

static void read_without_care(client *c) {
  char key[64], most[16];
  snprintf(key, sizeof key, "%s%s", FACES_REPLIES, c->to);
  snprintf(most, sizeof most, "%d", READ_MOST);
  const char *const words[] = {"LPOP", key, most};
  lk_redis_reply *reply = call(c, 3, words);
  if (reply == NULL) return;
  take_answers(c, reply);
  if (lk_redis_reply_elements(reply) > 0) forget(c, key, reply);
  lk_redis_reply_free(reply);
}

/* What is answered waits no longer; nor does what a careful client has waited for too long, so that lost jobs do not
 * stop it: the account still has them. An idempotent client sends it again. */
static void look_through_open(client *c) {
  uint64_t now = now_ms();
  uint32_t kept = 0;
  for (uint32_t i = 0; i < c->open_count; i++) {
    client_job job = c->open[i];
    if (!account_is_open(c->options->account, job.number)) continue;
    bool again = c->kind == CLIENT_IDEMPOTENT && now > job.since_ms + AGAIN_AFTER_MS;
    if (again && c->unsent_count < CLIENT_OPEN_MOST)
      c->unsent[c->unsent_count++] = job;
    else if (c->kind == CLIENT_IDEMPOTENT || now <= job.since_ms + FORGOTTEN_AFTER_MS)
      c->open[kept++] = job;
  }
  c->open_count = kept;
}

/* A fickle client goes: it breaks off without reading. What was not acknowledged it sends under its next name. */
static void go(client *c) {
  client_past *past = &c->past[c->past_count++];
  strcpy(past->to, c->to);
  past->back_ms = now_ms() + random_log_uniform(&c->random, 500, 60000);
  c->open_count = 0;
  disconnect(c);
  rename_client(c);
}

/* Goes back to the lists that are due, again and again: a job that was sent under a name may be answered any time. */
static void come_back(client *c, bool rests) {
  for (uint32_t i = 0; i < c->past_count; i++) {
    client_past *past = &c->past[i];
    uint64_t now = now_ms();
    if (now < past->back_ms && !(rests && past->back_ms > now + RESTING_MS)) continue;
    while (read_with_care(c, past->to) == READ_MOST) continue;
    past->back_ms = now + (rests ? RESTING_MS : random_log_uniform(&c->random, 1000, 20000));
  }
}

static uint32_t make_jobs(client *c, uint32_t most) {
  uint32_t count = 1 + random_below(&c->random, 32), room = CLIENT_OPEN_MOST - c->open_count;
  if (count > most) count = most;
  if (c->unsent_count + count > room) count = room > c->unsent_count ? room - c->unsent_count : 0;
  for (uint32_t i = 0; i < count; i++) make_job(c, false, false);
  return count;
}

/* Cancels a job that waits for its answer, perhaps too late. */
static void cancel_one(client *c) {
  char id[16];
  uint32_t number = c->open[random_below(&c->random, c->open_count)].number;
  const char *const words[] = {"FCALL", "lk_cancel_5", "1", FACES_CANCELLED, c->to, id};
  snprintf(id, sizeof id, "%u", number);
  account_cancel(c->options->account, number);
  lk_redis_reply_free(call(c, sizeof words / sizeof words[0], words));
}

uint32_t client_turn(client *c, uint32_t most, bool rests) {
  uint32_t made = 0;
  if (!connect_client(c)) return 0;
  if (!rests) made = make_jobs(c, most);
  if (c->unsent_count > 0) send_unsent(c);
  if (c->kind == CLIENT_IDEMPOTENT && c->open_count > 0 && random_one_in(&c->random, CANCELS_ONE_IN)) cancel_one(c);
  if (c->kind == CLIENT_IDEMPOTENT)
    read_without_care(c);
  else if (c->kind == CLIENT_PATIENT || rests)
    read_with_care(c, c->to);
  look_through_open(c);
  if (c->kind != CLIENT_FICKLE) return made;
  come_back(c, rests);
  c->name_jobs -= made < c->name_jobs ? made : c->name_jobs;
  if (!rests && c->name_jobs == 0 && c->past_count < CLIENT_PAST_MOST) go(c);
  return made;
}
