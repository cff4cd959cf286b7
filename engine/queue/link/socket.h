/* Sockets that never block: what would wait is waited for here, until a deadline. */
#ifndef ENGINE_QUEUE_LINK_SOCKET_H
#define ENGINE_QUEUE_LINK_SOCKET_H

#include <likeness/status.h>
#include "engine/queue/link/deadline.h"
#include "engine/queue/link/place.h"

/* Connects to the place; of a name with several addresses, to the first that answers. The caller closes *fd. LK_EIO:
 * nobody answers there, or not in time. The time that the system's resolver takes for a name is not bounded here. */
lk_status lk_socket_connect(const lk_place *place, const lk_deadline *deadline, int *fd, lk_error *error);

/* Waits for `events` (poll). Returns those that came; 0: the deadline passed; negative: errno says why. */
int lk_socket_wait(int fd, short events, const lk_deadline *deadline);

#endif
