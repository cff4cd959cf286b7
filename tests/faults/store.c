#include "tests/faults/store.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS_MOST = 16 };

int store_free_port(void) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool found = listener >= 0 && bind(listener, (struct sockaddr *)&name, size) == 0 &&
               getsockname(listener, (struct sockaddr *)&name, &size) == 0;
  if (listener >= 0) close(listener);
  if (!found) perror("faults: no free port"), exit(2);
  return ntohs(name.sin_port);
}

static lk_status connect_to(redis_server *server) {
  lk_address address;
  lk_error error;
  if (server->link != NULL) return LK_OK;
  lk_status status = lk_address_parse(server->url, &address, &error);
  return status == LK_OK ? lk_redis_open(&address, &server->link, &error) : status;
}

static lk_redis_reply *ask(redis_server *server, size_t count, const char *const *words) {
  lk_redis_reply *reply = NULL;
  lk_error error;
  for (int turn = 0; turn < 2; turn++) {
    if (connect_to(server) == LK_OK && lk_redis_call_words(server->link, &reply, &error, count, words) == LK_OK) break;
    lk_redis_close(server->link);
    server->link = NULL;
  }
  if (reply != NULL && lk_redis_reply_error(reply) != NULL)
    fprintf(stderr, "faults: %s %s: %s\n", words[0], count > 1 ? words[1] : "", lk_redis_reply_error(reply));
  return reply;
}

static size_t list_words(va_list from, const char *words[WORDS_MOST]) {
  size_t count = 0;
  while (count < WORDS_MOST && (words[count] = va_arg(from, const char *)) != NULL) count++;
  return count;
}

static redis_server *server_in_use(store *s) { return &s->servers[atomic_load(&s->used)]; }

static redis_server *other_server(store *s) { return &s->servers[1 - atomic_load(&s->used)]; }

static int64_t number_of(lk_redis_reply *reply) {
  int64_t number = reply != NULL ? lk_redis_reply_integer(reply) : 0;
  lk_redis_reply_free(reply);
  return number;
}

lk_redis_reply *store_ask(store *s, ...) {
  const char *words[WORDS_MOST];
  va_list from;
  va_start(from, s);
  size_t count = list_words(from, words);
  va_end(from);
  return ask(server_in_use(s), count, words);
}

int64_t store_number(store *s, ...) {
  const char *words[WORDS_MOST];
  va_list from;
  va_start(from, s);
  size_t count = list_words(from, words);
  va_end(from);
  return number_of(ask(server_in_use(s), count, words));
}

void store_do(store *s, ...) {
  const char *words[WORDS_MOST];
  va_list from;
  va_start(from, s);
  size_t count = list_words(from, words);
  va_end(from);
  lk_redis_reply_free(ask(server_in_use(s), count, words));
}

int64_t store_info(store *s, const char *section, const char *name) {
  lk_redis_reply *reply = store_ask(s, "INFO", section, NULL);
  size_t length;
  const char *text = reply != NULL ? lk_redis_reply_string(reply, &length) : NULL;
  char label[64];
  snprintf(label, sizeof label, "\n%s:", name);
  const char *found = text != NULL ? strstr(text, label) : NULL;
  int64_t number = found != NULL ? strtoll(found + strlen(label), NULL, 10) : 0;
  lk_redis_reply_free(reply);
  return number;
}

static void await(redis_server *server) {
  static const char *const words[] = {"PING"};
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; now_ms() < end_ms; sleep_ms(2)) {
    if (connect_to(server) != LK_OK) continue;
    lk_redis_reply *reply = ask(server, 1, words);
    bool answers = reply != NULL && lk_redis_reply_error(reply) == NULL;
    lk_redis_reply_free(reply);
    if (answers) return;
  }
  fprintf(stderr, "faults: redis does not start: %s%s\n", process_out(&server->process), process_log(&server->process));
  exit(2);
}

/* With the data that it has; as the replica of the server in use where it is the other one. */
static void start(store *s, unsigned number) {
  static char ports[STORE_SERVERS][8];
  redis_server *server = &s->servers[number];
  unsigned used = atomic_load(&s->used);
  for (int i = 0; i < STORE_SERVERS; i++) snprintf(ports[i], sizeof ports[i], "%d", s->ports[i]);
  const char *const words[] = {"--port",
                               ports[number],
                               "--bind",
                               "127.0.0.1",
                               "--appendfsync",
                               s->always ? "always" : "everysec",
                               "--repl-diskless-sync-delay",
                               "0",
                               number != used ? "--replicaof" : NULL,
                               "127.0.0.1",
                               ports[used],
                               NULL};
  memcpy(server->more, words, sizeof words);
  server->appendonly = true;
  server->clock = s->clock;
  redis_server_start(server, false);
  await(server);
}

void store_open(store *s, const char *folder, bool always, bool replica) {
  s->always = always;
  s->replica = replica;
  atomic_store(&s->used, 0);
  snprintf(s->clock, sizeof s->clock, "%s/clock", folder);
  redis_clock_set(s->clock, 0);
  for (unsigned i = 0; i < STORE_SERVERS; i++) {
    char own[80];
    snprintf(own, sizeof own, "%s/%u", folder, i);
    if (mkdir(own, 0700) != 0) perror(own), exit(2);
    redis_server_name(&s->servers[i], own);
    s->ports[i] = store_free_port();
  }
  for (unsigned i = 0; i < (replica ? 2U : 1U); i++) start(s, i);
}

void store_close(store *s) {
  for (int i = 0; i < STORE_SERVERS; i++) redis_server_close(&s->servers[i]);
}

void store_kill(store *s) { redis_server_kill(server_in_use(s)); }

void store_restart(store *s) { start(s, atomic_load(&s->used)); }

bool store_follows(store *s) {
  static const char *const words[] = {"ROLE"};
  lk_redis_reply *reply = ask(other_server(s), 1, words);
  size_t length = 0;
  const char *state = reply != NULL && lk_redis_reply_elements(reply) == 5
                          ? lk_redis_reply_string(lk_redis_reply_element(reply, 3), &length)
                          : NULL;
  bool follows = state != NULL && strcmp(state, "connected") == 0;
  lk_redis_reply_free(reply);
  return follows;
}

static bool has_everything(store *s) {
  static const char *const words[] = {"WAIT", "1", "5000"};
  return store_follows(s) && number_of(ask(server_in_use(s), 3, words)) >= 1;
}

static void command(redis_server *server, size_t count, const char *const *words) {
  lk_redis_reply_free(ask(server, count, words));
}

bool store_fail_over(store *s) {
  static const char *const pause[] = {"CLIENT", "PAUSE", "20000", "WRITE"}, *const go_on[] = {"CLIENT", "UNPAUSE"},
                           *const nobody[] = {"REPLICAOF", "NO", "ONE"};
  char port[8];
  redis_server *from = server_in_use(s), *to = other_server(s);
  unsigned next = 1 - atomic_load(&s->used);
  snprintf(port, sizeof port, "%d", s->ports[next]);
  const char *const follow[] = {"REPLICAOF", "127.0.0.1", port};
  command(from, 4, pause);
  bool ready = has_everything(s);
  if (ready) {
    command(to, 3, nobody);
    command(from, 3, follow);
    atomic_store(&s->used, next);
  }
  command(from, 2, go_on);
  return ready;
}

void store_promote(store *s) {
  static const char *const nobody[] = {"REPLICAOF", "NO", "ONE"};
  unsigned killed = atomic_load(&s->used);
  command(other_server(s), 3, nobody);
  atomic_store(&s->used, 1 - killed);
  start(s, killed);
}

const char *store_stream(uint32_t stream) {
  static _Thread_local char key[32];
  const char *priority = stream < STORE_LANES ? "hi" : "lo";
  uint32_t lane = stream % STORE_LANES;
  if (lane == 0)
    snprintf(key, sizeof key, "lk:{faces}:q:%s", priority);
  else
    snprintf(key, sizeof key, "lk:{faces}:q:%s:%u", priority, lane);
  return key;
}

lk_entry store_last_entry(store *s, uint32_t stream) {
  const char *const asked[] = {"XINFO", "STREAM", store_stream(stream)}, *const exists[] = {"EXISTS", asked[2]};
  lk_entry entry = {0};
  if (number_of(ask(server_in_use(s), 2, exists)) == 0) return entry;
  lk_redis_reply *reply = ask(server_in_use(s), 3, asked);
  for (size_t i = 0; reply != NULL && i + 1 < lk_redis_reply_elements(reply); i += 2) {
    size_t length;
    const char *name = lk_redis_reply_string(lk_redis_reply_element(reply, i), &length);
    if (strcmp(name, "last-generated-id") != 0) continue;
    const char *id = lk_redis_reply_string(lk_redis_reply_element(reply, i + 1), &length);
    lk_entry_parse(id, length, &entry);
  }
  lk_redis_reply_free(reply);
  return entry;
}
