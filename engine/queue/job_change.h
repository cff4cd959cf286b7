/* What a job that changes a gallery comes to: the changes or rows that an owner is given (likeness/owner.h). The same
 * fields stand in the gallery's log. */
#ifndef ENGINE_QUEUE_JOB_CHANGE_H
#define ENGINE_QUEUE_JOB_CHANGE_H

#include <likeness/label_file.h>
#include <likeness/owner.h>

#include "engine/queue/job.h"

/* Writes the changes of a `delete`, `tag` or `expire`, at most as many as there are texts, and returns how many: a text
 * that occurs twice is one change. They are in the order of their texts. `texts`: the job's keys or subjects, which the
 * changes point to. */
uint32_t lk_job_changes(const lk_job *job, const lk_text *texts, lk_change *changes);

/* Reads the labels of an `enroll` or `replace`, one for each row; rows without a version get the job's. The caller
 * closes them (lk_label_file_close). LK_EBADJOB names the field and the record, of which the header is the first.
 * LK_EINTERNAL: out of memory. */
lk_status lk_job_read_labels(const lk_job *job, lk_label_file *labels, lk_error *error);

/* The enrollment of such a job, with `labels` as read from it. It points to both. */
lk_enrollment lk_job_enrollment(const lk_job *job, const lk_label_file *labels);

#endif
