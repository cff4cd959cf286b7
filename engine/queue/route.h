/* The way to the Redis that has the queue: which place of an address is the right one now. */
#ifndef ENGINE_QUEUE_ROUTE_H
#define ENGINE_QUEUE_ROUTE_H

#include "engine/queue/address.h"
#include "engine/queue/link/wire.h"

/* One thread uses a route. */
typedef struct lk_route {
  const lk_address *address;
  const lk_give_up *give_up; /* from that time on every call and every connecting fails; NULL: none */
  lk_place moved;            /* where a cluster said the keys are; unset: it did not */
  uint32_t next;             /* the place of the address to begin with */
} lk_route;

/* What a refusal says of the way. */
typedef enum lk_turn {
  LK_TURN_NONE,
  LK_TURN_MOVED, /* the keys are at another node of the cluster */
  LK_TURN_ASK,   /* for once another node is to be asked */
  LK_TURN_AWAY   /* this is a replica now, or a node that its cluster has lost */
} lk_turn;

/* Opens a wire to the right place and introduces itself: user, password, database. It begins where the keys moved to;
 * else it asks the sentinels, or tries the address's places in turn and takes the one that is a master. LK_EPOLICY: the
 * user, password or database is refused. */
lk_status lk_route_open(lk_route *route, lk_wire **wire, lk_error *error);

/* The same to a place that a node named. */
lk_status lk_route_follow(const lk_route *route, const lk_place *place, const lk_deadline *deadline, lk_wire **wire,
                          lk_error *error);

/* Reads what a reply from the place `from` says of the way, and remembers it for the next connection. `to` is set for
 * MOVED and ASK. */
lk_turn lk_route_turn(lk_route *route, const lk_redis_reply *reply, const lk_place *from, lk_place *to);

#endif
