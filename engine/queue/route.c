#include "engine/queue/route.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/link/refusal.h"
#include "engine/queue/link/sentinel.h"

enum { CONNECT_MS = 5000 };

static lk_status expect_ok(lk_wire *wire, const lk_deadline *deadline, size_t count, const char *const *words,
                           lk_error *error) {
  char name[LK_PLACE_TEXT];
  lk_redis_reply *reply = NULL;
  lk_status status = lk_wire_ask(wire, deadline, &reply, error, count, words);
  if (status != LK_OK) return status;
  if (lk_redis_reply_error(reply) != NULL)
    status = lk_fail(error, lk_redis_reply_refusal(reply), "redis at %s refused %s: %s",
                     lk_place_text(lk_wire_place(wire), name), words[0], lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  return status;
}

static lk_status introduce(const lk_address *address, lk_wire *wire, const lk_deadline *deadline, lk_error *error) {
  lk_status status = LK_OK;
  if (address->password[0] != '\0') {
    const char *const with_user[] = {"AUTH", address->user, address->password};
    const char *const without[] = {"AUTH", address->password};
    bool named = address->user[0] != '\0';
    status = expect_ok(wire, deadline, named ? 3 : 2, named ? with_user : without, error);
  }
  char database[16];
  snprintf(database, sizeof database, "%d", address->database);
  const char *const select[] = {"SELECT", database};
  if (status == LK_OK && address->database != 0) status = expect_ok(wire, deadline, 2, select, error);
  const char *const ping[] = {"PING"};
  return status == LK_OK ? expect_ok(wire, deadline, 1, ping, error) : status;
}

/* A user who may not ask is not told: then this place is taken for a master until it says READONLY. */
static lk_status check_role(lk_wire *wire, const lk_deadline *deadline, lk_error *error) {
  const char *const words[] = {"ROLE"};
  char name[LK_PLACE_TEXT];
  lk_redis_reply *reply = NULL;
  lk_status status = lk_wire_ask(wire, deadline, &reply, error, 1, words);
  if (status != LK_OK) return status;
  size_t length;
  const char *role = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  if (lk_redis_reply_error(reply) == NULL && (role == NULL || strcmp(role, "master") != 0))
    status = lk_fail(error, LK_EIO, "redis at %s is no master but a %.40s", lk_place_text(lk_wire_place(wire), name),
                     role != NULL ? role : "server of another kind");
  lk_redis_reply_free(reply);
  return status;
}

/* The address with the password that its file has now. */
static lk_status read_address(const lk_route *route, lk_address *address, lk_error *error) {
  *address = *route->address;
  if (address->password_file == NULL) return LK_OK;
  /* Whatever ails the file may be over soon: it may be just being written. */
  return lk_address_read_password(address->password_file, address, error) == LK_OK ? LK_OK : LK_EIO;
}

static lk_status open_place(const lk_address *address, const lk_place *place, bool check, const lk_deadline *deadline,
                            lk_wire **wire, lk_error *error) {
  lk_wire *opened = NULL;
  lk_deadline within = lk_deadline_within(deadline, CONNECT_MS);
  lk_status status = lk_wire_open(place, address->tls, &within, &opened, error);
  if (status == LK_OK) status = introduce(address, opened, &within, error);
  if (status == LK_OK && check) status = check_role(opened, &within, error);
  if (status == LK_OK)
    *wire = opened;
  else
    lk_wire_close(opened);
  return status;
}

static lk_status open_master(const lk_address *address, const lk_deadline *deadline, lk_wire **wire, lk_error *error) {
  const lk_sentinels sentinels = {.places = address->places,
                                  .count = address->places_count,
                                  .master = address->master,
                                  .user = address->user,
                                  .password = address->password,
                                  .tls = address->tls};
  lk_place master;
  lk_status status = lk_sentinels_find(&sentinels, deadline, &master, error);
  return status == LK_OK ? open_place(address, &master, true, deadline, wire, error) : status;
}

/* The places in turn, from the one that served last. A refused password is worth telling more than a place that is not
 * there. */
static lk_status open_any(lk_route *route, const lk_address *address, const lk_deadline *deadline, lk_wire **wire,
                          lk_error *error) {
  uint32_t count = address->places_count, first = route->next;
  lk_status status = LK_EIO, worst = LK_EIO;
  lk_error why;
  for (uint32_t i = 0; status != LK_OK && i < count; i++) {
    uint32_t place = (first + i) % count;
    status = open_place(address, &address->places[place], count > 1, deadline, wire, &why);
    if (status == LK_OK) route->next = place;
    if (status != LK_OK && worst != LK_EPOLICY) {
      worst = status;
      if (error != NULL) *error = why;
    }
  }
  return status == LK_OK ? LK_OK : worst;
}

lk_status lk_route_open(lk_route *route, lk_wire **wire, lk_error *error) {
  lk_address address;
  lk_deadline deadline = lk_deadline_in(CONNECT_MS * (LK_PLACES_MOST + 1), route->give_up);
  lk_status status = read_address(route, &address, error);
  if (status != LK_OK) return status;
  if (lk_place_is_set(&route->moved)) {
    if (open_place(&address, &route->moved, false, &deadline, wire, error) == LK_OK) return LK_OK;
    route->moved = (lk_place){0};
  }
  if (address.master[0] != '\0') return open_master(&address, &deadline, wire, error);
  return open_any(route, &address, &deadline, wire, error);
}

lk_status lk_route_follow(const lk_route *route, const lk_place *place, const lk_deadline *deadline, lk_wire **wire,
                          lk_error *error) {
  lk_address address;
  lk_status status = read_address(route, &address, error);
  return status == LK_OK ? open_place(&address, place, false, deadline, wire, error) : status;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static bool says_away(const char *refused) {
  static const char *const away[] = {"READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "UNBLOCKED force"};
  for (size_t i = 0; i < sizeof away / sizeof away[0]; i++)
    if (begins(refused, away[i])) return true;
  return false;
}

lk_turn lk_route_turn(lk_route *route, const lk_redis_reply *reply, const lk_place *from, lk_place *to) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused == NULL) return LK_TURN_NONE;
  if (says_away(refused)) {
    route->moved = (lk_place){0};
    route->next = (route->next + 1) % route->address->places_count;
    return LK_TURN_AWAY;
  }
  bool moved = begins(refused, "MOVED "), ask = begins(refused, "ASK ");
  if ((!moved && !ask) || !lk_place_parse_told(strrchr(refused, ' ') + 1, from, to)) return LK_TURN_NONE;
  if (moved) route->moved = *to;
  return moved ? LK_TURN_MOVED : LK_TURN_ASK;
}
