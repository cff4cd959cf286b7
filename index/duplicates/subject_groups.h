/* Groups of subjects that may be one: two subjects are of one group if a template of one pairs with a template of the
 * other, or if both are of a group with a third. A subject's templates are all in its group. One thread at a time. */
#ifndef INDEX_DUPLICATES_SUBJECT_GROUPS_H
#define INDEX_DUPLICATES_SUBJECT_GROUPS_H

#include <likeness/dedupe.h>

typedef struct lk_subject_groups {
  const lk_gallery *gallery;
  uint32_t templates;
  uint32_t *parent;  /* of each position: one of its group, not behind it; itself for the group's first */
  bool *paired;      /* of each position */
  uint32_t *members; /* once listed: positions, one group after the other */
  uint32_t *ends;    /* of each group's members, by its first position; a group without pairs has none */
} lk_subject_groups;

/* Every subject is a group of its own, without its templates that were deleted or have expired by now. The gallery must
 * outlive the groups. LK_ENOMEM. */
lk_status lk_subject_groups_open(const lk_gallery *gallery, lk_subject_groups *groups, lk_error *error);
void lk_subject_groups_close(lk_subject_groups *groups);

/* Makes one group of the groups of both templates. LK_ENOTFOUND: the gallery does not have them. */
lk_status lk_subject_groups_join(lk_subject_groups *groups, const lk_pair *pair, lk_error *error);

/* Lists the groups that have pairs, once all are joined. */
void lk_subject_groups_list(lk_subject_groups *groups);

/* The members of the next group behind *at, which starts as 0: by the first template of each, and their positions
 * ascending. Returns how many there are; 0: no more groups. */
uint32_t lk_subject_groups_next(const lk_subject_groups *groups, uint32_t *at, const uint32_t **members);

#endif
