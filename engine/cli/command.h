/* The commands. Each reads its options, does its work, writes its answer to `out` and remarks to `log`, and returns.
 * Only main prints errors and exits. LK_EINVAL: bad usage. */
#ifndef ENGINE_CLI_COMMAND_H
#define ENGINE_CLI_COMMAND_H

#include <stdatomic.h>
#include <stdio.h>

#include "engine/cli/options.h"
#include "engine/queue/link/deadline.h"

typedef struct lk_streams {
  FILE *out, *log;
  const atomic_bool *stop;   /* set on SIGTERM and SIGINT */
  atomic_bool *busy;         /* set by a command that has begun what it must end itself: until then they end it */
  const lk_give_up *give_up; /* set to a moment after them */
  lk_search_control *search; /* cancelled on SIGTERM and SIGINT */
  atomic_bool *reload;       /* set on SIGHUP, by serve only */
  bool *hangs;               /* set by serve: a thread of it hangs, so the process must leave as it is */
} lk_streams;

typedef lk_status lk_command_run(const lk_options *options, const lk_streams *streams, lk_error *error);

/* Gallery: engine/cli/command_gallery.c */
lk_command_run lk_command_create, lk_command_bind, lk_command_list, lk_command_stat, lk_command_check;
/* New templates: engine/cli/command_enroll.c */
lk_command_run lk_command_enroll;
/* Changes of templates: engine/cli/command_change.c */
lk_command_run lk_command_delete, lk_command_tag, lk_command_expire, lk_command_compact;
/* Moving galleries: engine/cli/command_moving.c */
lk_command_run lk_command_export, lk_command_import, lk_command_alias;
/* Search: engine/cli/command_search.c */
lk_command_run lk_command_identify, lk_command_verify;
/* Duplicates: engine/cli/command_dedupe.c */
lk_command_run lk_command_dedupe;
/* Policies: engine/cli/command_policy.c */
lk_command_run lk_command_policy_check, lk_command_policy_explain;
/* Audit log: engine/cli/command_audit.c */
lk_command_run lk_command_audit_verify, lk_command_audit_show, lk_command_audit_head, lk_command_key;
/* Error rates: engine/cli/command_evaluate.c */
lk_command_run lk_command_evaluate;
/* Worker: engine/cli/command_serve.c */
lk_command_run lk_command_serve;
/* Client: engine/cli/command_submit.c */
lk_command_run lk_command_submit;
/* How the queues are: engine/cli/command_status.c */
lk_command_run lk_command_status;

#endif
