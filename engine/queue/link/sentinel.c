#include "engine/queue/link/sentinel.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { PATIENCE_MS = 1000 };

/* A sentinel that knows no password refuses this one, and answers all the same. */
static lk_status try_password(const lk_sentinels *sentinels, lk_wire *wire, const lk_deadline *deadline,
                              lk_error *error) {
  if (sentinels->password[0] == '\0') return LK_OK;
  const char *const words[] = {"AUTH", sentinels->user, sentinels->password};
  const char *const without[] = {"AUTH", sentinels->password};
  bool named = sentinels->user[0] != '\0';
  lk_redis_reply *reply = NULL;
  lk_status status = lk_wire_ask(wire, deadline, &reply, error, named ? 3 : 2, named ? words : without);
  lk_redis_reply_free(reply);
  return status;
}

static lk_status read_place(const lk_sentinels *sentinels, const lk_redis_reply *reply, const lk_place *from,
                            lk_place *master, lk_error *error) {
  char name[LK_PLACE_TEXT], told[LK_PLACE_TEXT];
  lk_place_text(from, name);
  if (lk_redis_reply_is_nil(reply))
    return lk_fail(error, LK_EIO, "the sentinel at %s knows no master '%s'", name, sentinels->master);
  size_t host_length, port_length;
  const char *host = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &host_length);
  const char *port = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &port_length);
  if (host == NULL || port == NULL) return lk_redis_reply_unexpected(reply, "SENTINEL", error);
  if (host_length + port_length + 2 < sizeof told) {
    snprintf(told, sizeof told, "%s:%s", host, port);
    if (lk_place_parse_told(told, from, master)) return LK_OK;
  }
  return lk_fail(error, LK_EIO, "the sentinel at %s names a master that cannot be reached: '%.60s', port '%.8s'", name,
                 host, port);
}

static lk_status ask(const lk_sentinels *sentinels, const lk_place *place, const lk_deadline *deadline,
                     lk_place *master, lk_error *error) {
  const char *const words[] = {"SENTINEL", "get-master-addr-by-name", sentinels->master};
  lk_wire *wire = NULL;
  lk_redis_reply *reply = NULL;
  lk_status status = lk_wire_open(place, sentinels->tls, deadline, &wire, error);
  if (status == LK_OK) status = try_password(sentinels, wire, deadline, error);
  if (status == LK_OK) status = lk_wire_ask(wire, deadline, &reply, error, 3, words);
  if (status == LK_OK) status = read_place(sentinels, reply, place, master, error);
  lk_redis_reply_free(reply);
  lk_wire_close(wire);
  return status;
}

lk_status lk_sentinels_find(const lk_sentinels *sentinels, const lk_deadline *deadline, lk_place *master,
                            lk_error *error) {
  lk_status status = lk_fail(error, LK_EIO, "no sentinel is given");
  for (uint32_t i = 0; status != LK_OK && i < sentinels->count; i++) {
    lk_deadline within = lk_deadline_within(deadline, PATIENCE_MS);
    status = ask(sentinels, &sentinels->places[i], &within, master, error);
  }
  return status;
}
