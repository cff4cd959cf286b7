#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/command.h"
#include "kernels/fail.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct {
  const char *name;
  lk_command_run *run;
  int words_least, words_most;
  const char *options;
  const char *usage;
} commands[] = {
    {"create", lk_command_create, 1, 1, "--dim --metric --store --model",
     "DIR --dim N [--metric cosine|ip|l2] [--store f32|f16] [--model NAME]"},
    {"enroll", lk_command_enroll, 2, 2, "--labels", "DIR VECTORS [--labels FILE.csv]"},
    {"identify", lk_command_identify, 2, 2,
     "-k --threshold --by --fuse --tags --mask --keys --subjects --device --threads --format --model --stats",
     "DIR PROBES [-k 10|all] [--threshold T] [--by template|subject] [--fuse max|mean]\n"
     "                    [--tags BITS] [--mask BITS] [--keys FILE] [--subjects FILE] [--model NAME]\n"
     "                    [--device auto|cpu|cuda:N] [--threads N] [--format table|csv|json] [--stats]"},
    {"verify", lk_command_verify, 2, 2, "--subject --threshold --format",
     "DIR PROBES --subject S [--threshold T] [--format table|csv|json]"},
    {"list", lk_command_list, 1, 1, "--format", "DIR [--format table|csv]"},
    {"stat", lk_command_stat, 1, 1, "", "DIR"},
    {"check", lk_command_check, 1, 1, "", "DIR"},
    {"serve", lk_command_serve, 1, LK_WORDS_MOST,
     "--redis --password-file --device --threads --batch --max-queue-delay-us",
     "DIR... --redis unix:PATH|redis://[USER@]HOST[:PORT][/DB] [--password-file FILE]\n"
     "                    [--device auto|cpu|cuda:N] [--threads N] [--batch PROBES] [--max-queue-delay-us N]"},
    {"submit", lk_command_submit, 1, 1,
     "--redis --password-file --gallery -k --threshold --by --fuse --tags --mask --format --model --priority --ttl "
     "--timeout --job-probes",
     "PROBES --redis URL --gallery NAME [-k 10] [--threshold T] [--by template|subject]\n"
     "                    [--fuse max|mean] [--tags BITS] [--mask BITS] [--model NAME] [--priority hi|lo]\n"
     "                    [--ttl MS] [--timeout S] [--job-probes 64] [--format table|csv|json]\n"
     "                    [--password-file FILE]"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static atomic_bool stop;

static void on_signal(int signal) {
  (void)signal;
  atomic_store(&stop, true);
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error like any other */
}

static int show_usage(FILE *to, const char *command, int status) {
  fputs(command == NULL ? "Likeness: exact 1:N search over galleries of embeddings.\n\nusage:\n" : "usage:\n", to);
  for (int i = 0; i < COMMANDS; i++)
    if (command == NULL || strcmp(command, commands[i].name) == 0)
      fprintf(to, "  likeness %-8s %s\n", commands[i].name, commands[i].usage);
  if (command == NULL)
    fputs("\nVECTORS and PROBES are files of vectors: .npy, .fvecs or .bvecs. --keys and --subjects name files of one\n"
          "key or subject a line: only those templates are searched.\n",
          to);
  return status;
}

static int run(int i, const lk_options *options) {
  lk_error error = {0};
  catch_signals();
  lk_status status = commands[i].run(options, &(lk_streams){.out = stdout, .log = stderr, .stop = &stop}, &error);
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == LK_OK)
    status = lk_fail(&error, LK_EIO, "cannot write the output");
  if (status == LK_OK) return EXIT_DONE;
  fprintf(stderr, "likeness %s: %s\n", commands[i].name, error.text[0] != '\0' ? error.text : lk_status_words(status));
  return status == LK_EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int main(int count, char **arguments) {
  if (count < 2) return show_usage(stderr, NULL, EXIT_USAGE);
  if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0)
    return show_usage(stdout, NULL, EXIT_DONE);
  for (int i = 0; i < COMMANDS; i++) {
    if (strcmp(arguments[1], commands[i].name) != 0) continue;
    lk_options options;
    lk_error error;
    if (lk_options_parse(count - 2, arguments + 2, commands[i].options, &options, &error) != LK_OK) {
      fprintf(stderr, "likeness %s: %s\n", commands[i].name, error.text);
      return show_usage(stderr, commands[i].name, EXIT_USAGE);
    }
    if (options.words_count < commands[i].words_least || options.words_count > commands[i].words_most)
      return show_usage(stderr, commands[i].name, EXIT_USAGE);
    return run(i, &options);
  }
  fprintf(stderr, "likeness: no command '%s'\n", arguments[1]);
  return show_usage(stderr, NULL, EXIT_USAGE);
}
