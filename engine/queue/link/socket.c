#include "engine/queue/link/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fail.h"

int lk_socket_wait(int fd, short events, const lk_deadline *deadline) {
  for (;;) {
    struct pollfd wanted = {.fd = fd, .events = events};
    int step_ms = lk_deadline_step_ms(deadline), ready = poll(&wanted, 1, step_ms);
    if (ready > 0) return wanted.revents;
    if (ready < 0 && errno != EINTR) return -1;
    if (step_ms == 0) return 0;
  }
}

/* Sets errno where it fails; ETIMEDOUT where the deadline passed. */
static int connect_to(const struct sockaddr *name, socklen_t size, const lk_deadline *deadline) {
  int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), failure = 0;
  if (fd < 0) return -1;
  if (connect(fd, name, size) != 0) failure = errno;
  if (failure == EINPROGRESS) {
    int events = lk_socket_wait(fd, POLLOUT, deadline);
    socklen_t length = sizeof failure;
    if (events == 0)
      failure = ETIMEDOUT;
    else if (events < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
      failure = errno;
  }
  if (failure == 0) return fd;
  close(fd);
  errno = failure;
  return -1;
}

static lk_status fail(const lk_place *place, const char *why, lk_error *error) {
  char text[LK_PLACE_TEXT];
  return lk_fail(error, LK_EIO, "redis at %s: %s", lk_place_text(place, text), why);
}

static lk_status connect_unix(const lk_place *place, const lk_deadline *deadline, int *fd, lk_error *error) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  _Static_assert(sizeof name.sun_path >= sizeof place->path, "a path fits into a socket's name");
  memcpy(name.sun_path, place->path, sizeof place->path);
  *fd = connect_to((const struct sockaddr *)&name, sizeof name, deadline);
  return *fd >= 0 ? LK_OK : fail(place, strerror(errno), error);
}

static lk_status connect_tcp(const lk_place *place, const lk_deadline *deadline, int *fd, lk_error *error) {
  char port[8];
  snprintf(port, sizeof port, "%d", place->port);
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int resolved = getaddrinfo(place->host, port, &hints, &found);
  if (resolved != 0) return fail(place, gai_strerror(resolved), error);
  *fd = -1;
  for (const struct addrinfo *one = found; one != NULL && *fd < 0; one = one->ai_next)
    *fd = connect_to(one->ai_addr, one->ai_addrlen, deadline);
  int failure = errno;
  freeaddrinfo(found);
  if (*fd < 0) return fail(place, strerror(failure), error);
  const int on = 1;
  (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* without it a call is slower, nothing else */
  (void)setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return LK_OK;
}

lk_status lk_socket_connect(const lk_place *place, const lk_deadline *deadline, int *fd, lk_error *error) {
  if (lk_deadline_passed(deadline)) return fail(place, "no connection in time", error);
  return place->path[0] != '\0' ? connect_unix(place, deadline, fd, error) : connect_tcp(place, deadline, fd, error);
}
