/* The names of a job's fields and operations (docs/protocol.md). */
#ifndef ENGINE_QUEUE_FIELDS_FIELD_NAMES_H
#define ENGINE_QUEUE_FIELDS_FIELD_NAMES_H

#include <stdbool.h>

#include "engine/queue/job.h"

/* Whether the protocol has a field of this name, or leaves the name to clients: those that begin with "x-". */
bool lk_field_is_known(lk_text name);

/* Whether jobs with this operation have the known field of this name. */
bool lk_field_belongs(lk_text name, lk_op op);

/* The field that was probably meant by an unknown name: at most two letters differ, are missing or are too many,
 * whether large or small. NULL: none is so near. */
const char *lk_field_nearest(lk_text name);

#endif
