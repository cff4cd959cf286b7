#include <likeness/version.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define CLAIMS "--purpose --actor --jurisdiction --case --authorisation --granted --pending-since --sign"
#define CLAIMS_USAGE                                                              \
  "                    [--purpose P] [--actor A] [--jurisdiction J] [--case C]\n" \
  "                    [--authorisation W] [--granted | --pending-since DATE] [--sign KEY]"

static const struct {
  const char *name;
  lk_command_run *run;
  int words_least, words_most;
  const char *options;
  const char *usage;
} commands[] = {
    {"create", lk_command_create, 1, 1, "--dim --metric --store --model --policy --calibration --audit --audit-key",
     "DIR --dim N [--metric cosine|ip|l2] [--store f32|f16] [--model NAME]\n"
     "                    [--policy FILE [--calibration FILE] [--audit FOLDER [--audit-key FILE]]]"},
    {"bind", lk_command_bind, 1, 1, "--policy --calibration --audit --audit-key --lost-audit-log",
     "DIR --policy FILE|none [--calibration FILE]\n"
     "                    [--audit FOLDER [--audit-key FILE] [--lost-audit-log]]"},
    {"enroll", lk_command_enroll, 2, 2, "--labels --key-column --replace --unless-match --device --threads " CLAIMS,
     "DIR VECTORS [--labels FILE [--key-column NAME]] [--replace]\n"
     "                    [--unless-match T [--device auto|cpu|cuda:N,...] [--threads N]]\n" CLAIMS_USAGE},
    {"delete", lk_command_delete, 1, 1, "--key --subject --keys --format " CLAIMS,
     "DIR (--key K | --subject S | --keys FILE) [--format table|json]\n" CLAIMS_USAGE},
    {"tag", lk_command_tag, 1, 1, "--key --keys --tags --mask --format " CLAIMS,
     "DIR (--key K | --keys FILE) --tags BITS --mask BITS [--format table|json]\n" CLAIMS_USAGE},
    {"expire", lk_command_expire, 1, 1, "--key --keys --at --after --never --format " CLAIMS,
     "DIR (--key K | --keys FILE) (--at DATE | --after 90d | --never)\n"
     "                    [--format table|json]\n" CLAIMS_USAGE},
    {"compact", lk_command_compact, 1, 1, "--format " CLAIMS, "DIR [--format table|json]\n" CLAIMS_USAGE},
    {"identify", lk_command_identify, 2, 2,
     "-k --threshold --by --fuse --tags --mask --keys --subjects --device --threads --format --model --stats " CLAIMS,
     "DIR PROBES [-k 10|all] [--threshold T] [--by template|subject] [--fuse max|mean]\n"
     "                    [--tags BITS] [--mask BITS] [--keys FILE] [--subjects FILE] [--model NAME]\n"
     "                    [--device auto|cpu|cuda:N,...] [--threads N] [--format table|csv|json] "
     "[--stats]\n" CLAIMS_USAGE},
    {"verify", lk_command_verify, 2, 2, "--subject --threshold --format " CLAIMS,
     "DIR PROBES --subject S [--threshold T] [--format table|csv|json]\n" CLAIMS_USAGE},
    {"evaluate", lk_command_evaluate, 2, 2,
     "--labels --key-column --fpir --threshold --rank --format --calibration --device --threads --model " CLAIMS,
     "DIR PROBES --labels FILE [--key-column NAME] [--fpir 0.01 | --threshold T] [--rank 1]\n"
     "                    [--calibration FILE]\n"
     "                    [--model NAME] [--device auto|cpu|cuda:N,...] [--threads N]\n"
     "                    [--format table|json|svg]\n" CLAIMS_USAGE},
    {"dedupe", lk_command_dedupe, 1, 1, "--threshold --groups --device --threads --format " CLAIMS,
     "DIR --threshold T [--groups] [--device auto|cpu|cuda:N,...] [--threads N]\n"
     "                    [--format table|csv|json]\n" CLAIMS_USAGE},
    {"list", lk_command_list, 1, 1, "--format", "DIR [--format table|csv]"},
    {"stat", lk_command_stat, 1, 1, "", "DIR"},
    {"check", lk_command_check, 1, 1, "", "DIR"},
    {"export", lk_command_export, 1, 2, "--npy --labels " CLAIMS,
     "DIR FILE.lkg | --npy FILE.npy --labels FILE.csv\n" CLAIMS_USAGE},
    {"import", lk_command_import, 2, 2, "--policy --calibration --audit --audit-key",
     "DIR FILE.lkg [--policy FILE [--calibration FILE] [--audit FOLDER [--audit-key FILE]]]"},
    {"alias", lk_command_alias, 2, 2, "", "NAME DIR"},
    {"policy check", lk_command_policy_check, 1, 1, "", "FILE"},
    {"policy explain", lk_command_policy_explain, 1, 1,
     "--operation --purpose --actor --jurisdiction --gallery --case --case-probes --authorisation --granted "
     "--pending-since --signed --metric --model --probes --threshold -k --at --format",
     "FILE --operation OP [--purpose P] [--actor A] [--signed] [--jurisdiction J] [--gallery G]\n"
     "                    [--case C] [--case-probes N] [--authorisation W] [--granted | --pending-since DATE]\n"
     "                    [--metric cosine|ip|l2] [--model NAME]\n"
     "                    [--probes N] [--threshold T] [-k N] [--at DATE] [--format table|json]"},
    {"serve", lk_command_serve, 1, LK_WORDS_MOST,
     "--redis --password-file --device --threads --batch --max-queue-delay-us --policy --calibration --audit "
     "--audit-key --lost-audit-log --follow --replicas",
     "DIR... --redis unix:PATH|redis[s]://[USER@]HOST[:PORT],...[/DB]|\n"
     "                            redis[s]+sentinel://[USER@]HOST[:PORT],.../MASTER[/DB]\n"
     "                    [--password-file FILE]\n"
     "                    [--device auto|cpu|cuda:N,...] [--threads N] [--batch PROBES] [--max-queue-delay-us N]\n"
     "                    [--policy FILE [--calibration FILE]] [--audit FOLDER [--audit-key FILE]]\n"
     "                    [--lost-audit-log] [--follow] [--replicas N]"},
    {"submit", lk_command_submit, 1, 1,
     "--redis --password-file --gallery -k --threshold --by --fuse --tags --mask --keys --subjects --format --model "
     "--priority --ttl "
     "--timeout --job-probes --deployment " CLAIMS,
     "PROBES --redis URL --gallery NAME [-k 10] [--threshold T] [--by template|subject]\n"
     "                    [--fuse max|mean] [--tags BITS] [--mask BITS] [--keys FILE] [--subjects FILE]\n"
     "                    [--model NAME] [--priority hi|lo] [--ttl MS] [--timeout S] [--job-probes 64]\n"
     "                    [--format table|csv|json]\n"
     "                    [--password-file FILE]\n" CLAIMS_USAGE " [--deployment ID]"},
    {"audit verify", lk_command_audit_verify, 1, 1, "--head --key", "PATH [--head FILE] [--key PUBLIC]"},
    {"audit show", lk_command_audit_show, 1, 1, "--format", "PATH [--format table|json]"},
    {"audit head", lk_command_audit_head, 1, 1, "--key", "PATH [--key SECRET]"},
    {"key", lk_command_key, 1, 1, "", "FILE"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

enum { LEAVE_US = 300000 }; /* after the first signal: how long a client may take to clean up in Redis */

enum { EXIT_SIGNAL = 128 }; /* and the signal's number, as shells have it */

static atomic_bool stop, reload;

static lk_give_up give_up;

static lk_search_control search;

/* Whoever asks twice to stop will not wait. */
static void on_signal(int signal) {
  if (signal == SIGHUP) {
    atomic_store(&reload, true);
    return;
  }
  if (atomic_exchange(&stop, true)) _exit(EXIT_SIGNAL + signal);
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

/* Prints the usage of all commands (`word` NULL), or of those whose name is `word` or begins with the word `word`.
 * Returns `status`. */
static int show_usage(FILE *to, const char *word, int status) {
  size_t length = word != NULL ? strlen(word) : 0;
  if (word == NULL) fputs("Likeness: exact 1:N search over galleries of embeddings.\n\n", to);
  fputs("usage:\n", to);
  for (int i = 0; i < COMMANDS; i++) {
    const char *name = commands[i].name;
    if (word == NULL || (strncmp(word, name, length) == 0 && (name[length] == ' ' || name[length] == '\0')))
      fprintf(to, "  likeness %-8s %s\n", name, commands[i].usage);
  }
  if (word == NULL)
    fputs("\nVECTORS and PROBES are files of vectors: .npy, .npz, .h5, .csv, .fvecs, .bvecs, .fbin and others; "
          "FILE:NAME is\n"
          "one array of several. --labels names a csv, .npy, .npz or .txt file. --keys and --subjects name text files "
          "with\n"
          "one key or subject per line; only those templates are searched or changed. -- ends the options.\n",
          to);
  return status;
}

static int end(int code, bool hangs) {
  fflush(stderr);
  if (hangs) _exit(code);
  return code;
}

static int run(int i, const lk_options *options) {
  lk_error error = {0};
  bool hangs = false;
  catch_signals(commands[i].run == lk_command_serve);
  const lk_streams streams = {.out = stdout,
                              .log = stderr,
                              .stop = &stop,
                              .give_up = &give_up,
                              .search = &search,
                              .reload = &reload,
                              .hangs = &hangs};
  lk_status status = commands[i].run(options, &streams, &error);
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == LK_OK)
    status = lk_fail(&error, LK_EIO, "cannot write the output");
  if (status == LK_OK) return end(EXIT_DONE, hangs);
  lk_printable_line(stderr, "likeness %s: %s", commands[i].name,
                    error.text[0] != '\0' ? error.text : lk_status_words(status));
  return end(status == LK_EINVAL ? EXIT_USAGE : EXIT_FAILED, hangs);
}

/* A word that begins several commands' names, such as `policy`, prints the usage of those commands only. */
static int refuse_command(int count, char **words) {
  size_t length = strlen(words[0]);
  for (int i = 0; i < COMMANDS; i++) {
    if (strncmp(commands[i].name, words[0], length) != 0 || commands[i].name[length] != ' ') continue;
    lk_printable_line(stderr, "likeness: unknown command '%s%s%s'", words[0], count > 1 ? " " : "",
                      count > 1 ? words[1] : "");
    return show_usage(stderr, words[0], EXIT_USAGE);
  }
  lk_printable_line(stderr, "likeness: unknown command '%s'", words[0]);
  return show_usage(stderr, NULL, EXIT_USAGE);
}

int main(int count, char **arguments) {
  if (count < 2) return show_usage(stderr, NULL, EXIT_USAGE);
  if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0)
    return show_usage(stdout, NULL, EXIT_DONE);
  if (strcmp(arguments[1], "--version") == 0) return puts("likeness " LK_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
  for (int i = 0; i < COMMANDS; i++) {
    int taken = match(commands[i].name, count - 1, arguments + 1);
    if (taken == 0) continue;
    lk_options options;
    lk_error error;
    if (lk_options_parse(count - 1 - taken, arguments + 1 + taken, commands[i].options, &options, &error) != LK_OK) {
      lk_printable_line(stderr, "likeness %s: %s", commands[i].name, error.text);
      return show_usage(stderr, commands[i].name, EXIT_USAGE);
    }
    if (options.words_count < commands[i].words_least || options.words_count > commands[i].words_most)
      return show_usage(stderr, commands[i].name, EXIT_USAGE);
    return run(i, &options);
  }
  return refuse_command(count - 1, arguments + 1);
}
