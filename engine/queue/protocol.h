/* The names and numbers of protocol version 1 that client and worker share (docs/protocol.md). */
#ifndef ENGINE_QUEUE_PROTOCOL_H
#define ENGINE_QUEUE_PROTOCOL_H

#define LK_GROUP "e1.s0"

#define LK_REPLY_LIFE_MS "600000" /* of a reply list after its last reply */
#define LK_REPLY_CAP "100000"     /* replies in one list; older ones go first */
#define LK_HEADS_KEPT "10000"

/* A worker lives while its lease does. It renews the lease often enough that two renewals may fail. */
#define LK_LEASE_MS 3000
#define LK_LEASE_RENEWED_MS 500

#define LK_ENTRY_AHEAD_MS 60000 /* how far ahead of Redis' clock an entry's id may be */

/* The functions of engine/queue/functions.lua, and its text. */
#define LK_FINISH "lk_finish_3"
#define LK_DISCARD "lk_discard_3"
#define LK_TRIM "lk_trim_3"
#define LK_MEND "lk_mend_3"
#define LK_LEASE "lk_lease_3"
extern const char lk_functions_lua[];

#endif
