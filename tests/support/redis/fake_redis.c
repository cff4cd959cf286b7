#include "tests/support/redis/fake_redis.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char FAKE_CLOSE[] = "close", FAKE_TRICKLE[] = "trickle", FAKE_SLOW[] = "slow";

enum { LONG_STRING = 1000000, SLOW_STRING = 50 };

static void hang_up(fake_connection *c) {
  close(c->fd);
  free(c->in);
  *c = (fake_connection){0};
}

static void say(fake_connection *c, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes += sent;
    length -= (size_t)sent;
  }
}

static void begin_string(fake_connection *c, int length) {
  char head[16];
  say(c, head, (size_t)snprintf(head, sizeof head, "$%d\r\n", length));
  c->trickles = length;
}

static void trickle(fake_connection *c) {
  say(c, "x", 1);
  if (--c->trickles == 0) say(c, "\r\n", 2);
}

static void answer(fake_redis *fake, fake_connection *c, const char *words) {
  if (strcmp(words, "PING\n") == 0) {
    say(c, "+PONG\r\n", 7);
    return;
  }
  atomic_fetch_add(&fake->answered, 1);
  if (strlen(fake->heard) + strlen(words) < FAKE_HEARD) strcat(fake->heard, words);
  const char *reply = *fake->script;
  if (reply == NULL) return;
  fake->script++;
  if (reply == FAKE_CLOSE) {
    hang_up(c);
  } else if (reply == FAKE_TRICKLE) {
    begin_string(c, LONG_STRING);
  } else if (reply == FAKE_SLOW) {
    begin_string(c, SLOW_STRING);
  } else {
    say(c, reply, strlen(reply));
  }
}

/* Takes a whole command off the front and writes its words; 0: it has not all come. */
static size_t take_command(const fake_connection *c, char *words, size_t room) {
  if (c->length == 0 || c->in[0] != '*') return 0;
  int count = atoi(c->in + 1);
  char *at = strstr(c->in, "\r\n"), *end = c->in + c->length;
  words[0] = '\0';
  for (int i = 0; i < count && at != NULL; i++) {
    if (at + 2 >= end) return 0;
    size_t size = (size_t)atol(at + 3);
    at = strstr(at + 2, "\r\n");
    if (at == NULL || (size_t)(end - at) < size + 4) return 0;
    if (strlen(words) + size + 3 < room) {
      strncat(words, at + 2, size);
      strcat(words, i + 1 < count ? " " : "\n");
    }
    at += 2 + size;
  }
  return at != NULL ? (size_t)(at + 2 - c->in) : 0;
}

static void hear(fake_redis *fake, fake_connection *c) {
  char bytes[65536], words[1024];
  ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
  if (got <= 0) {
    hang_up(c);
    return;
  }
  c->in = realloc(c->in, c->length + (size_t)got + 1);
  memcpy(c->in + c->length, bytes, (size_t)got);
  c->length += (size_t)got;
  c->in[c->length] = '\0';
  for (size_t taken; c->fd > 0 && (taken = take_command(c, words, sizeof words)) > 0;) {
    memmove(c->in, c->in + taken, c->length - taken + 1);
    c->length -= taken;
    answer(fake, c, words);
  }
}

static void welcome(fake_redis *fake) {
  int fd = accept(fake->listener, NULL, NULL);
  for (int i = 0; fd >= 0 && i < FAKE_CONNECTIONS; i++)
    if (fake->connections[i].fd == 0) {
      fake->connections[i].fd = fd;
      atomic_fetch_add(&fake->accepted, 1);
      return;
    }
}

static void *run(void *argument) {
  fake_redis *fake = argument;
  while (!atomic_load(&fake->stop)) {
    struct pollfd wanted[FAKE_CONNECTIONS + 1] = {{.fd = fake->listener, .events = POLLIN}};
    for (int i = 0; i < FAKE_CONNECTIONS; i++) {
      fake_connection *c = &fake->connections[i];
      wanted[i + 1] = (struct pollfd){.fd = c->fd > 0 ? c->fd : -1, .events = POLLIN};
      if (c->trickles > 0) trickle(c);
    }
    if (poll(wanted, FAKE_CONNECTIONS + 1, 10) <= 0) continue;
    for (int i = 0; i < FAKE_CONNECTIONS; i++)
      if (wanted[i + 1].revents != 0) hear(fake, &fake->connections[i]);
    if (wanted[0].revents != 0) welcome(fake);
  }
  return NULL;
}

void fake_redis_start(fake_redis *fake, const char *const *script) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  *fake = (fake_redis){.script = script, .runs = true, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  cr_assert_eq(bind(fake->listener, (struct sockaddr *)&name, size), 0);
  cr_assert_eq(listen(fake->listener, FAKE_CONNECTIONS), 0);
  cr_assert_eq(getsockname(fake->listener, (struct sockaddr *)&name, &size), 0);
  fake->port = ntohs(name.sin_port);
  snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", fake->port);
  cr_assert_eq(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void fake_redis_stop(fake_redis *fake) {
  if (!fake->runs) return;
  fake->runs = false;
  atomic_store(&fake->stop, true);
  pthread_join(fake->thread, NULL);
  for (int i = 0; i < FAKE_CONNECTIONS; i++)
    if (fake->connections[i].fd > 0) hang_up(&fake->connections[i]);
  close(fake->listener);
}
