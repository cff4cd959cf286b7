/* Puts what was opened beside some contents, of newer files of the same gallery, in their place. Parts that both have
 * stay, with their blocks on the device. */
#ifndef INDEX_CATALOG_RENEW_H
#define INDEX_CATALOG_RENEW_H

#include "index/catalog/contents.h"

/* The contents become as `fresh`, which are on no device, and of whose parts those that are twins of the contents'
 * parts stand for them. Searches go on until the last moment, wait, and then see all of it. One thread at a time
 * changes the contents. On failure nothing has changed, unless the contents say in `failure` that the device failed
 * between; the next time may mend that. LK_ECORRUPT, LK_EIO, LK_ENOMEM.
 *
 * Where the device has no room for what goes and what comes, what goes is unloaded first, and `failure` refuses
 * searches until what comes is there. */
lk_status lk_renew(lk_contents *contents, const lk_contents *fresh, lk_error *error);

#endif
