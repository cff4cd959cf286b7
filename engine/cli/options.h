/* The words and options of one command. */
#ifndef ENGINE_CLI_OPTIONS_H
#define ENGINE_CLI_OPTIONS_H

#include <likeness/likeness.h>
#include <likeness/signing_key.h>
#include "engine/cli/guide/commands.h"
#include "engine/queue/address.h"

typedef enum lk_format { LK_TABLE, LK_CSV, LK_JSON, LK_SVG } lk_format;

enum { LK_WORDS_MOST = 256 };

typedef struct lk_options {
  const char *words[LK_WORDS_MOST]; /* the operands: arguments that are not options */
  int words_count;
  uint32_t dim, k /* LK_K_ALL: -k all */, rank, threads, batch, job_probes, timeout_s, replicas;
  uint64_t max_queue_delay_us, ttl_ms, tags, mask;
  uint64_t after_ms; /* LK_NEVER: not given */
  lk_metric metric;
  lk_store store;
  lk_fusion fusion;
  const char *model, *labels, *npy, *output, *key_column, *device, *subject, *keys, *subjects, *head, *key, *redis,
      *password_file, *gallery, *priority;
  const char *calibration, *policy, *audit, *audit_key, *sign, *deployment;
  float threshold;       /* -INFINITY: not given */
  double fpir;           /* NaN: not given */
  float match_threshold; /* NaN: not given */
  bool help, by_subject, stats, groups, lost_audit_log, never, replace, has_tags, has_mask, follow;
  const char *operation, *purpose, *actor, *jurisdiction, *case_id, *authorisation, *pending_since, *at;
  bool is_signed, granted;
  uint32_t probes;
  uint64_t case_probes;
  lk_format format;
} lk_options;

/* Reads the arguments after the command's name, up to --help or -h. LK_EINVAL names the bad argument, and the option
 * that was probably meant. */
lk_status lk_options_parse(int count, char *const *arguments, const lk_guide *guide, lk_options *options,
                           lk_error *error);

/* LK_EINVAL: the command does not write this format. `formats`: those it writes, separated by spaces. */
lk_status lk_options_check_format(const lk_options *options, const char *formats, lk_error *error);

/* LK_EINVAL: k is out of range. */
lk_status lk_options_check_k(const lk_options *options, lk_error *error);

/* Fills the claims, which point into `options` and `key`. `key` receives the actor's key if --sign names one; the
 * caller forgets it. LK_EINVAL, LK_EFORMAT, LK_EIO. */
lk_status lk_options_claims(const lk_options *options, lk_claims *claims, lk_signing_key *key, lk_error *error);

/* The queue's address, as --redis and --password-file have it. LK_EINVAL: it is missing, or none. LK_EIO, LK_EFORMAT:
 * of the file with the password. */
lk_status lk_options_address(const lk_options *options, lk_address *address, lk_error *error);

/* Reads an option's value as a timestamp (base/timestamp.h). */
lk_status lk_options_timestamp(const char *option, const char *value, int64_t *ms, lk_error *error);

#endif
