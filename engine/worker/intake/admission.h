/* Admission: an entry of a stream becomes a task of the worker, which is queued for a search, or refused and queued for
 * its answer. The intakes and the claimer each have one, in their own thread and on their own connection. */
#ifndef ENGINE_WORKER_INTAKE_ADMISSION_H
#define ENGINE_WORKER_INTAKE_ADMISSION_H

#include "engine/worker/intake/appetite.h"
#include "engine/worker/intake/notes.h"
#include "engine/worker/intake/source.h"
#include "engine/worker/worker.h"

/* An entry as Redis gave it. */
typedef struct lk_admission_entry {
  const lk_source *from;
  const char *id; /* terminated */
  size_t id_length;
  const lk_redis_reply *fields; /* NULL: it was deleted */
  bool claimed;                 /* another worker had it */
  bool again;                   /* it may be a task of this worker already */
  uint32_t deaths;
} lk_admission_entry;

typedef struct lk_admission {
  lk_worker *worker;
  lk_queued *first, **last; /* tasks that were added */
  bool deaths_unknown;      /* of some of them */
  uint64_t generation;      /* of the rules that decide them */
  uint32_t entries;         /* and what they weighed, since they were last set to 0 */
  lk_room weighed;
  lk_notes notes;
} lk_admission;

lk_admission lk_admission_of(lk_worker *worker, const char *stage);
void lk_admission_free(lk_admission *admission);

/* Reads the entry's fields. An entry for which there is no memory stays pending in Redis; the intakes are told to read
 * it again. */
void lk_admission_add(lk_admission *admission, lk_delivery *delivery, const lk_admission_entry *entry);

/* Decides and queues all that was added. `cancels`: some client may have cancelled jobs. LK_EIO: the connection broke;
 * what was not decided stays pending in Redis, and is forgotten here. */
lk_status lk_admission_run(lk_admission *admission, lk_redis *redis, bool cancels, lk_error *error);

/* The bytes of an entry's fields, as they are held. */
size_t lk_admission_bytes(const lk_redis_reply *fields);

/* Asks Redis for its time, which no job may be judged without. */
lk_status lk_admission_read_clock(lk_worker *worker, lk_redis *redis, lk_error *error);

#endif
