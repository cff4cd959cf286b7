/* A worker has a lease of each gallery that it serves, by which clients, and workers that look for jobs of a dead one,
 * see that it lives. A worker that was killed or stopped lets it run out. The leases are renewed beside the stages,
 * over a connection of their own: however long a batch or a wait for Redis takes, the worker lives. */
#include <string.h>
#include <time.h>

#include "base/printable.h"
#include "engine/queue/protocol.h"
#include "engine/worker/worker.h"

typedef struct lease {
  lk_worker *worker;
  lk_redis_session session;
  bool refused, refuses; /* Redis refused one in the round before, which was logged; in this round */
} lease;

static void log_refusal(lease *l, const char *refused) {
  l->refuses = true;
  if (l->refused) return;
  lk_printable_line(l->session.log, "likeness: lease: redis refused %s: %s", LK_LEASE, refused);
}

/* Sets *missing where Redis has not got the function yet, or no longer. */
static lk_status call(lease *l, const lk_keys *keys, uint32_t lease_ms, bool *missing, lk_error *error) {
  char ms[16];
  snprintf(ms, sizeof ms, "%u", lease_ms);
  const char *const words[] = {LK_LEASE, "1", keys->workers, l->worker->consumer, ms, LK_GROUP};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(l->session.redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(reply);
  *missing = refused != NULL && strstr(refused, "Function not found") != NULL;
  if (refused != NULL && !*missing) log_refusal(l, refused);
  lk_redis_reply_free(reply);
  return LK_OK;
}

static lk_status take(lease *l, uint32_t lease_ms, lk_error *error) {
  lk_status status = LK_OK;
  l->refuses = false;
  for (uint32_t i = 0; status == LK_OK && i < l->worker->options->galleries_count; i++) {
    bool missing = false;
    status = call(l, &l->worker->keys[i], lease_ms, &missing, error);
    if (status == LK_OK && missing) status = lk_worker_load_functions(l->session.redis, error);
    if (status == LK_OK && missing) status = call(l, &l->worker->keys[i], lease_ms, &missing, error);
  }
  l->refused = l->refuses;
  return status;
}

static void renew(lease *l) {
  lk_error error;
  if (lk_redis_session_open(&l->session, &error) != LK_OK) return;
  if (take(l, LK_LEASE_MS, &error) == LK_OK)
    lk_redis_session_works(&l->session);
  else
    lk_redis_session_broke(&l->session, &error);
}

/* Waits until the next renewal is due. False: the worker has answered its last job. */
static bool wait_for_turn(lk_worker *worker) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += LK_LEASE_RENEWED_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&worker->lock);
  int waited = 0;
  while (!worker->over && waited == 0) waited = pthread_cond_timedwait(&worker->ended, &worker->lock, &until);
  bool goes_on = !worker->over;
  pthread_mutex_unlock(&worker->lock);
  return goes_on;
}

void lk_lease_keep(lk_worker *worker) {
  lease l = {.worker = worker, .session = lk_worker_session(worker, "lease")};
  do renew(&l);
  while (wait_for_turn(worker));
  lk_error error;
  if (l.session.redis != NULL) (void)take(&l, 0, &error); /* if this fails, they run out */
  lk_redis_session_close(&l.session);
}
