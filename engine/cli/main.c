#include <errno.h>
#include <likeness/version.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/guide/files.h"
#include "engine/cli/guide/help.h"
#include "engine/cli/guide/version.h"
#include "engine/cli/streams/output.h"
#include "engine/cli/streams/standard_input.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

static const struct {
  const char *name;
  lk_command_run *run;
} commands[] = {
    {"create", lk_command_create},
    {"bind", lk_command_bind},
    {"enroll", lk_command_enroll},
    {"delete", lk_command_delete},
    {"tag", lk_command_tag},
    {"expire", lk_command_expire},
    {"compact", lk_command_compact},
    {"identify", lk_command_identify},
    {"verify", lk_command_verify},
    {"evaluate", lk_command_evaluate},
    {"dedupe", lk_command_dedupe},
    {"list", lk_command_list},
    {"stat", lk_command_stat},
    {"check", lk_command_check},
    {"export", lk_command_export},
    {"import", lk_command_import},
    {"alias", lk_command_alias},
    {"policy check", lk_command_policy_check},
    {"policy explain", lk_command_policy_explain},
    {"serve", lk_command_serve},
    {"submit", lk_command_submit},
    {"status", lk_command_status},
    {"audit verify", lk_command_audit_verify},
    {"audit show", lk_command_audit_show},
    {"audit head", lk_command_audit_head},
    {"key", lk_command_key},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

enum { LEAVE_US = 300000 }; /* after the first signal: how long a client may take to clean up in Redis */

enum { EXIT_SIGNAL = 128 }; /* and the signal's number, as shells have it */

static atomic_bool stop, reload, busy;

static volatile sig_atomic_t caught; /* the signal */

static lk_give_up give_up;

static lk_search_control search;

static lk_answer_file answer; /* --output */

/* A command that has begun nothing is ended here; and whoever asks twice to stop will not wait. */
static void on_signal(int signal) {
  if (signal == SIGHUP) {
    atomic_store(&reload, true);
    return;
  }
  if (atomic_exchange(&stop, true) || !atomic_load(&busy)) {
    if (answer.fresh[0] != '\0') unlink(answer.fresh);
    _exit(EXIT_SIGNAL + signal);
  }
  caught = signal;
  atomic_store(&give_up, lk_clock_us() + LEAVE_US);
  lk_search_cancel(&search);
}

static void catch_signals(bool serves) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  if (serves) sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN); /* write() then reports a closed pipe as an error, */
  signal(SIGXFSZ, SIG_IGN); /* and likewise a file at its size limit */
}

static bool has_no_reader(void) {
  struct pollfd pipe = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0;
}

/* LK_EIO: the output could not be written. Where its reader has gone, as `head` does, that ends the process as it ends
 * others, without a word. */
static lk_status flush_output(lk_error *error) {
  bool failed = ferror(stdout) != 0;
  errno = 0;
  if (fflush(stdout) == 0 && !failed) return LK_OK;
  if (errno == EPIPE || has_no_reader()) {
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
  }
  return lk_fail(error, LK_EIO, "cannot write the output: %s", strerror(errno != 0 ? errno : EIO));
}

static int end(int code, bool hangs) {
  fflush(stderr);
  if (hangs) _exit(code);
  return code;
}

static int exit_code(lk_status status) {
  return status == LK_EINVAL ? EXIT_USAGE : status == LK_EPOLICY ? EXIT_REFUSED : EXIT_FAILED;
}

/* The error is the last line. */
static int fail_usage(const char *command, const char *why) {
  lk_printable_line(stderr, "`likeness%s%s --help` tells more", command[0] != '\0' ? " " : "", command);
  lk_printable_line(stderr, "likeness%s%s: %s", command[0] != '\0' ? " " : "", command, why);
  return EXIT_USAGE;
}

static lk_status run_to_stdout(int i, const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_error unwritten;
  lk_status status = commands[i].run(options, streams, error);
  if (flush_output(&unwritten) == LK_OK || (status != LK_OK && status != LK_EIO)) return status;
  *error = unwritten;
  return LK_EIO;
}

static lk_status run_into_file(int i, const lk_options *options, lk_streams *streams, lk_error *error) {
  lk_status status = lk_answer_file_open(options->output, &answer, error);
  if (status != LK_OK) return status;
  streams->out = answer.stream;
  status = commands[i].run(options, streams, error);
  if (status == LK_OK || (status == LK_EIO && ferror(answer.stream))) return lk_answer_file_finish(&answer, error);
  lk_answer_file_drop(&answer);
  return status;
}

/* The last operand, and lists. */
static lk_status take_stdin(lk_options *options, lk_error *error) {
  const char **const names[] = {&options->words[options->words_count - 1], &options->labels, &options->keys,
                                &options->subjects};
  return lk_standard_input_take(names, sizeof names / sizeof names[0], error);
}

static int run(int i, const lk_guide *guide, lk_options *options) {
  lk_error error = {0};
  bool hangs = false, serves = commands[i].run == lk_command_serve;
  atomic_store(&busy, serves);
  catch_signals(serves);
  lk_streams streams = {.out = stdout,
                        .log = stderr,
                        .stop = &stop,
                        .busy = &busy,
                        .give_up = &give_up,
                        .search = &search,
                        .reload = &reload,
                        .hangs = &hangs};
  lk_status status = guide->reads_stdin ? take_stdin(options, &error) : LK_OK;
  if (status == LK_OK && options->output != NULL)
    status = run_into_file(i, options, &streams, &error);
  else if (status == LK_OK)
    status = run_to_stdout(i, options, &streams, &error);
  if (status == LK_OK) return end(EXIT_DONE, hangs);
  if (status == LK_EINVAL) return end(fail_usage(guide->name, error.text), hangs);
  bool interrupted = caught != 0 && !serves;
  lk_printable_line(stderr, "likeness %s: %s", guide->name,
                    interrupted             ? "interrupted"
                    : error.text[0] != '\0' ? error.text
                                            : lk_status_words(status));
  return end(interrupted ? EXIT_SIGNAL + caught : exit_code(status), hangs);
}

/* The number of arguments that form the command's name (one word each); 0 if the arguments do not begin with it. */
static int match(const char *name, int count, char **arguments) {
  for (int taken = 0; taken < count; taken++) {
    size_t length = strcspn(name, " ");
    if (strlen(arguments[taken]) != length || memcmp(name, arguments[taken], length) != 0) return 0;
    if (name[length] == '\0') return taken + 1;
    name += length + 1;
  }
  return 0;
}

/* The command that the words begin with; -1: none. `taken`: how many of them are its name. */
static int find_command(int count, char **words, int *taken) {
  for (int i = 0; i < COMMANDS; i++)
    if ((*taken = match(commands[i].name, count, words)) > 0) return i;
  return -1;
}

static bool begins_group(const char *word) {
  size_t length = strlen(word);
  for (int i = 0; i < COMMANDS; i++)
    if (strncmp(commands[i].name, word, length) == 0 && commands[i].name[length] == ' ') return true;
  return false;
}

static int refuse_command(int count, char **words) {
  bool in_group = begins_group(words[0]);
  const char *group = in_group ? words[0] : "";
  if (in_group && count == 1) return fail_usage(group, "which one? A second word is missing");
  char name[64];
  lk_error why;
  snprintf(name, sizeof name, "%s%s%s", words[0], in_group ? " " : "", in_group ? words[1] : "");
  const char *nearest = lk_guide_nearest(name);
  if (nearest != NULL && strcmp(nearest, name) == 0) nearest = NULL; /* its two words came as one */
  lk_fail(&why, LK_EINVAL, "unknown command '%s'%s%s%s", name, nearest != NULL ? "; did you mean '" : "",
          nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
  return fail_usage(group, why.text);
}

static bool asks_for_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

static int end_help(void) {
  lk_error error;
  if (flush_output(&error) == LK_OK) return EXIT_DONE;
  lk_printable_line(stderr, "likeness: %s", error.text);
  return EXIT_FAILED;
}

/* `likeness help WORDS`. */
static int help(int count, char **words) {
  int taken, i = find_command(count, words, &taken);
  if (count == 0)
    lk_help_overview(stdout);
  else if (i >= 0)
    lk_help_command(stdout, lk_guide_of(commands[i].name));
  else if (count > 1 || lk_help_group(stdout, words[0]) == 0)
    return refuse_command(count, words);
  return end_help();
}

static int write_guide(const char *folder) {
  lk_error error;
  if (lk_guide_write_files(folder, &error) == LK_OK) return EXIT_DONE;
  lk_printable_line(stderr, "likeness: %s", error.text);
  return EXIT_FAILED;
}

static int check_words(const lk_guide *guide, const lk_options *options) {
  char why[128];
  if (options->words_count < guide->words_least)
    snprintf(why, sizeof why, "an operand is missing: %s", guide->operands);
  else if (options->words_count > guide->words_most)
    snprintf(why, sizeof why, "there is an operand too many: %.64s", options->words[guide->words_most]);
  else
    return EXIT_DONE;
  return fail_usage(guide->name, why);
}

static int begin(int count, char **words) {
  int taken, i = find_command(count, words, &taken);
  if (i < 0 && count == 2 && begins_group(words[0]) && asks_for_help(words[1])) return help(1, words);
  if (i < 0) return refuse_command(count, words);
  const lk_guide *guide = lk_guide_of(commands[i].name);
  lk_options options;
  lk_error error;
  if (lk_options_parse(count - taken, words + taken, guide, &options, &error) != LK_OK)
    return fail_usage(guide->name, error.text);
  if (options.help) return help(taken, words);
  int wrong = check_words(guide, &options);
  return wrong != EXIT_DONE ? wrong : run(i, guide, &options);
}

int main(int count, char **arguments) {
  signal(SIGPIPE, SIG_IGN);
  if (count < 2) return fail_usage("", "which command?");
  const char *first = arguments[1];
  if (asks_for_help(first)) return help(0, NULL);
  if (strcmp(first, "help") == 0) return help(count - 2, arguments + 2);
  if (strcmp(first, "--version") == 0) {
    lk_version_print(stdout);
    return end_help();
  }
  if (strcmp(first, "--write-guide") == 0 && count == 3) return write_guide(arguments[2]);
  return begin(count - 1, arguments + 1);
}
