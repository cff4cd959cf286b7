/* What each command is: the one source of --help, the man pages and the shells' completions, and of which words and
 * options a command takes. All of it is static text in English. */
#ifndef ENGINE_CLI_GUIDE_COMMANDS_H
#define ENGINE_CLI_GUIDE_COMMANDS_H

#include <stdbool.h>

typedef struct lk_guide_option {
  const char *name;
  const char *value; /* what follows it: FILE, DIR, or words with | between them; NULL: nothing, it is a flag */
  const char *text;
} lk_guide_option;

typedef struct lk_guide {
  const char *name;     /* one word, or two */
  const char *operands; /* and the options that must be given */
  int words_least, words_most;
  const char *summary; /* one line without a full stop */
  const char *text;    /* one paragraph; NULL: the summary says all */
  const char *example;
  const lk_guide_option *options; /* ends with a name of NULL; NULL: none */
  bool claims;                    /* also those of lk_guide_claims */
  bool reads_stdin;               /* where a file is named - */
} lk_guide;

/* In the order in which they are listed; ends with a name of NULL. */
extern const lk_guide lk_guides[];

/* What a policy may ask for. */
extern const lk_guide_option lk_guide_claims[];

/* The option at this place among all that the command takes, the claims last; NULL: there are no more. */
const lk_guide_option *lk_guide_option_at(const lk_guide *guide, int number);

/* The exit codes; ends with a text of NULL. */
typedef struct lk_guide_exit {
  int code;
  const char *text;
} lk_guide_exit;
extern const lk_guide_exit lk_guide_exits[];

#endif
