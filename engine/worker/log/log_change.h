/* A change between a job and the log, both ways: which fields of a job the log gets, and what an owner is given for an
 * entry of it. */
#ifndef ENGINE_WORKER_LOG_LOG_CHANGE_H
#define ENGINE_WORKER_LOG_LOG_CHANGE_H

#include "engine/queue/job_change.h"
#include "engine/worker/log/entry_reader.h"
#include "index/live/log.h"

#define LK_LOG_DIGEST_HEX 65

/* Values of fields that a job does not have itself. */
typedef struct lk_log_numbers {
  char digest[LK_LOG_DIGEST_HEX], dim[12];
} lk_log_numbers;

/* What the log has of a job: its fields but the vectors, and of these the kind, dimension and a digest, which point to
 * `numbers`. `given`: all fields of the job. `decision`: JSON; "": nothing governs it. LK_EBADJOB: they are too long.
 */
lk_status lk_log_change_write(const lk_job *job, const lk_field *given, size_t count, const char *decision,
                              bool tells_scores, lk_log_numbers *numbers, lk_log_fields *fields, lk_error *error);

/* In place of the vectors of an entry that is appended again: it was no change. `status` and `text`: why. */
void lk_log_change_refused(lk_bytes *vectors, lk_status status, const char *text);

/* An entry on its way to the owner. It must not move. */
typedef struct lk_log_change {
  lk_job job;
  lk_text *texts;
  lk_change *changes;
  lk_label_file labels;
  bool has_labels;
  lk_enrollment enrollment;
  lk_bytes packed;
} lk_log_change;

/* Makes `entry` of a record and its vectors (of length 0: it has none), which both must live as long as it. LK_EFORMAT:
 * it is not an entry that a worker of this version logs. LK_ENOMEM. Close it also on failure. */
lk_status lk_log_change_open(const lk_log_record *record, const char *gallery, const char *vectors, size_t length,
                             lk_log_change *change, lk_log_entry *entry, lk_error *error);
void lk_log_change_close(lk_log_change *change);

#endif
