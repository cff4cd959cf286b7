/* The names and numbers of protocol version 1 that client and worker share (docs/protocol.md). */
#ifndef ENGINE_QUEUE_PROTOCOL_H
#define ENGINE_QUEUE_PROTOCOL_H

/* All keys have the same hash tag, so that a Redis Cluster keeps them on one node. */
#define LK_STREAM_HI "lk:{0}:q:hi"
#define LK_STREAM_LO "lk:{0}:q:lo"
#define LK_DEAD "lk:{0}:dead"
#define LK_REPLY_PREFIX "lk:{0}:r:"
#define LK_HEADS "lk:{0}:heads"
#define LK_SIGNED_PREFIX "lk:{0}:signed:"
#define LK_GROUP "e1.s0"

#define LK_REPLY_LIFE_MS "600000" /* of a reply list after its last reply */
#define LK_REPLY_CAP "100000"     /* replies in one list; older ones go first */
#define LK_HEADS_KEPT "10000"

#define LK_ENTRY_AHEAD_MS 60000 /* how far ahead of Redis' clock an entry's id may be */

/* The functions of engine/queue/functions.lua, and its text. */
#define LK_FINISH "lk_finish_2"
#define LK_DISCARD "lk_discard_2"
#define LK_TRIM "lk_trim_2"
#define LK_MEND "lk_mend_2"
extern const char lk_functions_lua[];

#endif
