#include "tests/faults/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/random.h"

enum { PIPES_MOST = 128, HELD_MOST = 1 << 16, CUT_AFTER_MOST = 20000, WAIT_MS = 20 };

/* Bytes on their way in one direction. */
typedef struct flow {
  size_t first, end;
  char bytes[HELD_MOST];
} flow;

/* A connection of a worker, with the one to Redis that it goes on in. */
typedef struct pipe_pair {
  int ends[2];
  flow flows[2]; /* what came from ends[i] */
  uint32_t left; /* bytes until it is cut; UINT32_MAX: it is not */
  struct pipe_pair *next;
} pipe_pair;

struct proxy {
  store *store;
  bool fixed;
  int listeners[STORE_SERVERS], listeners_count;
  char url[96];
  atomic_bool over, cuts, all;
  atomic_uint cut;
  random_state random;
  pthread_t thread;
  pipe_pair *pairs;
  uint32_t pairs_count;
};

static int listen_at(int port) {
  struct sockaddr_in name = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 64) != 0)
    perror("faults: the proxy cannot listen"), exit(2);
  return listener;
}

static int connect_at(int port) {
  struct sockaddr_in name = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
  int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(connected, (struct sockaddr *)&name, sizeof name) == 0) {
    fcntl(connected, F_SETFL, O_NONBLOCK);
    return connected;
  }
  close(connected);
  return -1;
}

/* So that a worker sees the cut at once, as with a machine that is gone: reset, not closed in order. */
static void cut(proxy *p, pipe_pair **at) {
  pipe_pair *pair = *at;
  static const struct linger hard = {.l_onoff = 1, .l_linger = 0};
  setsockopt(pair->ends[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  for (int i = 0; i < 2; i++) close(pair->ends[i]);
  *at = pair->next;
  free(pair);
  p->pairs_count--;
}

static void accept_one(proxy *p, int number) {
  int from = accept4(p->listeners[number], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (from < 0) return;
  int to = connect_at(p->store->ports[p->fixed ? (unsigned)number : atomic_load(&p->store->used)]);
  pipe_pair *pair = to >= 0 && p->pairs_count < PIPES_MOST ? malloc(sizeof *pair) : NULL;
  if (pair == NULL) {
    close(from);
    if (to >= 0) close(to);
    return;
  }
  pair->ends[0] = from;
  pair->ends[1] = to;
  for (int i = 0; i < 2; i++) pair->flows[i].first = pair->flows[i].end = 0;
  pair->left = UINT32_MAX;
  pair->next = p->pairs;
  p->pairs = pair;
  p->pairs_count++;
}

/* Passes on at most what is left until the cut. False: the connection is over. */
static bool take_in(pipe_pair *pair, int end) {
  flow *f = &pair->flows[end];
  if (f->end == HELD_MOST) return true;
  size_t room = HELD_MOST - f->end < pair->left ? HELD_MOST - f->end : pair->left;
  ssize_t got = recv(pair->ends[end], f->bytes + f->end, room, 0);
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return false;
  f->end += (size_t)got;
  if (pair->left != UINT32_MAX) pair->left -= (uint32_t)got;
  return true;
}

static bool pass_on(pipe_pair *pair, int end) {
  flow *f = &pair->flows[end];
  if (f->first == f->end) return true;
  ssize_t sent = send(pair->ends[1 - end], f->bytes + f->first, f->end - f->first, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  f->first += (size_t)sent;
  if (f->first == f->end) f->first = f->end = 0;
  return true;
}

static bool serve(proxy *p, pipe_pair *pair, const struct pollfd polled[2]) {
  if (!atomic_load(&p->cuts))
    pair->left = UINT32_MAX;
  else if (pair->left == UINT32_MAX)
    pair->left = 1 + random_below(&p->random, CUT_AFTER_MOST);
  bool goes_on = true;
  for (int end = 0; goes_on && end < 2; end++) {
    if ((polled[end].revents & (POLLIN | POLLHUP | POLLERR)) != 0) goes_on = take_in(pair, end);
    if (goes_on) goes_on = pass_on(pair, end);
  }
  if (!goes_on || pair->left > 0) return goes_on;
  atomic_fetch_add(&p->cut, 1);
  return false;
}

static short awaited(const pipe_pair *pair, int end) {
  const flow *in = &pair->flows[end], *out = &pair->flows[1 - end];
  return (short)((in->end < HELD_MOST ? POLLIN : 0) | (out->first < out->end ? POLLOUT : 0));
}

static void serve_all(proxy *p, const struct pollfd *polled) {
  bool all = atomic_exchange(&p->all, false);
  for (pipe_pair **at = &p->pairs; *at != NULL; polled += 2) {
    if (serve(p, *at, polled) && !all)
      at = &(*at)->next;
    else
      cut(p, at);
  }
}

static void *run(void *argument) {
  proxy *p = argument;
  while (!atomic_load(&p->over)) {
    struct pollfd polled[STORE_SERVERS + 2 * PIPES_MOST];
    nfds_t count = 0;
    for (int i = 0; i < p->listeners_count; i++)
      polled[count++] = (struct pollfd){.fd = p->listeners[i], .events = POLLIN};
    for (const pipe_pair *pair = p->pairs; pair != NULL; pair = pair->next)
      for (int end = 0; end < 2; end++)
        polled[count++] = (struct pollfd){.fd = pair->ends[end], .events = awaited(pair, end)};
    poll(polled, count, WAIT_MS);
    serve_all(p, polled + p->listeners_count);
    for (int i = 0; i < p->listeners_count; i++)
      if ((polled[i].revents & POLLIN) != 0) accept_one(p, i);
  }
  while (p->pairs != NULL) cut(p, &p->pairs);
  return NULL;
}

proxy *proxy_open(store *s, uint64_t seed, bool fixed) {
  proxy *p = calloc(1, sizeof *p);
  if (p == NULL) abort();
  p->store = s;
  p->fixed = fixed;
  p->random = random_fork(seed, 1);
  p->listeners_count = fixed ? STORE_SERVERS : 1;
  int length = snprintf(p->url, sizeof p->url, "redis://");
  for (int i = 0; i < p->listeners_count; i++) {
    int port = store_free_port();
    p->listeners[i] = listen_at(port);
    length += snprintf(p->url + length, sizeof p->url - (size_t)length, "%s127.0.0.1:%d", i > 0 ? "," : "", port);
  }
  if (pthread_create(&p->thread, NULL, run, p) != 0) abort();
  return p;
}

void proxy_close(proxy *p) {
  atomic_store(&p->over, true);
  pthread_join(p->thread, NULL);
  for (int i = 0; i < p->listeners_count; i++) close(p->listeners[i]);
  free(p);
}

const char *proxy_url(const proxy *p) { return p->url; }

void proxy_cuts(proxy *p, bool cuts) { atomic_store(&p->cuts, cuts); }

void proxy_cut_all(proxy *p) { atomic_store(&p->all, true); }

uint32_t proxy_cut_count(const proxy *p) { return atomic_load(&p->cut); }
