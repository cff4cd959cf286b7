#include "tests/support/redis/redis_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS_MOST = 48, OWN_CLOCK = 3 }; /* words before those of a server whose clock is the machine's */

void redis_server_name(redis_server *server, const char *folder) {
  *server = (redis_server){0};
  snprintf(server->folder, sizeof server->folder, "%s", folder);
  snprintf(server->socket, sizeof server->socket, "%s/redis", folder);
  snprintf(server->url, sizeof server->url, "unix:%s", server->socket);
}

int redis_free_port(void) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  cr_assert_eq(bind(listener, (struct sockaddr *)&name, size), 0);
  cr_assert_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
  close(listener);
  return ntohs(name.sin_port);
}

static void connect_to(redis_server *server) {
  lk_address address;
  lk_error error = {0};
  lk_status status;
  cr_assert_eq(lk_address_parse(server->url, &address, &error), LK_OK, "%s", error.text);
  if (server->password != NULL) strcpy(address.password, server->password);
  uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS;
  while ((status = lk_redis_open(&address, &server->link, &error)) != LK_OK && now_ms() < end_ms) sleep_ms(2);
  cr_assert_eq(status, LK_OK, "%s; its log: %s%s", error.text, process_out(&server->process),
               process_log(&server->process));
}

void redis_clock_set(const char *clock, int64_t ahead_ms) {
  int file = open(clock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  cr_assert(file >= 0 && pwrite(file, &ahead_ms, sizeof ahead_ms, 0) == sizeof ahead_ms);
  close(file);
}

void redis_server_start(redis_server *server, bool wait) {
  char clock[PATH_MAX + 16];
  snprintf(clock, sizeof clock, "STEPPED_CLOCK=%s", server->clock != NULL ? server->clock : "");
  const char *words[WORDS_MOST] = {"/usr/bin/env", "LD_PRELOAD=" STEPPED_CLOCK_LIBRARY, clock, "redis-server"};
  const char *const usual[] = {
      "--port",        "0",
      "--unixsocket",  server->socket,
      "--dir",         server->folder,
      "--save",        "",
      "--appendfsync", "no",
      "--loglevel",    "warning",
      "--appendonly",  server->appendonly ? "yes" : "no"}; /* with it, what is written outlives the process */
  memcpy(words + OWN_CLOCK + 1, usual, sizeof usual);
  size_t count = OWN_CLOCK + 1 + sizeof usual / sizeof usual[0];
  if (server->password != NULL) {
    words[count++] = "--requirepass";
    words[count++] = server->password;
  }
  for (size_t i = 0; server->more[i] != NULL; i++) words[count++] = server->more[i];
  process_start(&server->process, server->clock != NULL ? words : words + OWN_CLOCK);
  if (wait) connect_to(server);
}

void redis_server_kill(redis_server *server) {
  lk_redis_close(server->link);
  server->link = NULL;
  process_signal(&server->process, SIGKILL);
  process_wait(&server->process, PROCESS_PATIENCE_MS);
}

void redis_server_close(redis_server *server) {
  lk_redis_close(server->link);
  server->link = NULL;
  process_close(&server->process);
}

static lk_redis_reply *ask(redis_server *server, va_list words) {
  const char *list[WORDS_MOST];
  size_t count = 0;
  while ((list[count] = va_arg(words, const char *)) != NULL) count++;
  if (server->link == NULL) connect_to(server);
  lk_redis_reply *reply = NULL;
  lk_error error = {0};
  cr_assert_eq(lk_redis_call_words(server->link, &reply, &error, count, list), LK_OK, "%s", error.text);
  cr_assert_null(lk_redis_reply_error(reply), "%s: %s", list[0], lk_redis_reply_error(reply));
  return reply;
}

lk_redis_reply *redis_ask(redis_server *server, ...) {
  va_list words;
  va_start(words, server);
  lk_redis_reply *reply = ask(server, words);
  va_end(words);
  return reply;
}

static int64_t ask_number(redis_server *server, va_list words) {
  lk_redis_reply *reply = ask(server, words);
  int64_t number = lk_redis_reply_integer(reply);
  lk_redis_reply_free(reply);
  return number;
}

int64_t redis_number(redis_server *server, ...) {
  va_list words;
  va_start(words, server);
  int64_t number = ask_number(server, words);
  va_end(words);
  return number;
}

void redis_do(redis_server *server, ...) {
  va_list words;
  va_start(words, server);
  lk_redis_reply_free(ask(server, words));
  va_end(words);
}

bool redis_reaches(redis_server *server, int64_t least, ...) {
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; now_ms() < end_ms; sleep_ms(2)) {
    va_list words;
    va_start(words, least);
    int64_t number = ask_number(server, words);
    va_end(words);
    if (number >= least) return true;
  }
  return false;
}
