/* The names and numbers of protocol version 1 that client and worker share (docs/protocol.md). */
#ifndef ENGINE_QUEUE_PROTOCOL_H
#define ENGINE_QUEUE_PROTOCOL_H

#define LK_GROUP "e1.s0"

#define LK_HEADS_KEPT "10000"

/* A worker lives while its lease does. It renews the lease often enough that two renewals may fail. */
#define LK_LEASE_MS 3000
#define LK_LEASE_RENEWED_MS 500

#define LK_DEATHS_MOST 3 /* so many workers may die of a job; then it is given up */

#define LK_ENTRY_AHEAD_MS 60000 /* how far ahead of Redis' clock an entry's id may be */

#endif
