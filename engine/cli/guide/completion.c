#include "engine/cli/guide/completion.h"

#include <ctype.h>
#include <string.h>

#include "engine/cli/guide/commands.h"

/* The first words of the commands' names, or the second ones of those that begin with `first`. */
static void put_words(FILE *out, const char *first) {
  const char *last = "";
  size_t last_length = 0;
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    size_t length = strcspn(g->name, " ");
    if (first != NULL) {
      if (strncmp(g->name, first, length) == 0 && g->name[length] == ' ') fprintf(out, "%s ", g->name + length + 1);
    } else if (length != last_length || strncmp(g->name, last, length) != 0) {
      fprintf(out, "%.*s ", (int)length, g->name);
    }
    last = g->name;
    last_length = length;
  }
}

static bool is_two_words(const lk_guide *guide) { return strchr(guide->name, ' ') != NULL; }

/* Whether the values can be listed: small words with | between them. */
static bool has_choices(const lk_guide_option *option) {
  return option->value != NULL && strchr(option->value, '|') != NULL && islower((unsigned char)option->value[0]);
}

static void put_choices(FILE *out, const char *value) {
  for (; *value != '\0'; value++) fputc(*value == '|' ? ' ' : *value, out);
}

/* case "$command $previous" in ... */
static void put_value_cases(FILE *out, const lk_guide *guide) {
  const lk_guide_option *option;
  for (int i = 0; (option = lk_guide_option_at(guide, i)) != NULL; i++) {
    if (option->value == NULL) continue;
    fprintf(out, "    '%s %s') ", guide->name, option->name);
    if (has_choices(option)) {
      fputs("offers='", out);
      put_choices(out, option->value);
      fputs("' ;;\n", out);
    } else if (strcmp(option->value, "FILE") == 0 || strcmp(option->value, "FOLDER") == 0) {
      fputs("files=1 ;;\n", out);
    } else {
      fputs(";;\n", out);
    }
  }
}

static void put_option_cases(FILE *out) {
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    const lk_guide_option *option;
    fprintf(out, "    '%s') offers='", g->name);
    for (int i = 0; (option = lk_guide_option_at(g, i)) != NULL; i++) fprintf(out, "%s ", option->name);
    fputs("--help' ;;\n", out);
  }
}

/* Sets `offers` or `files` from the words of the line before the one that is completed. bash and zsh run it alike. */
static void put_chooser(FILE *out) {
  fputs("# _likeness_choose CURRENT PREVIOUS COMMAND [WORD]: sets offers or files\n"
        "_likeness_choose() {\n  local command=$3\n  offers='' files=''\n  case $command in\n    '') offers='",
        out);
  put_words(out, NULL);
  fputs("help --help --version'; return ;;\n    help) offers='", out);
  put_words(out, NULL);
  fputs("'; return ;;\n", out);
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    size_t length = strcspn(g->name, " ");
    if (!is_two_words(g) || (g > lk_guides && strncmp(g[-1].name, g->name, length + 1) == 0)) continue;
    fprintf(out, "    %.*s)\n      if [ -z \"$4\" ]; then offers='", (int)length, g->name);
    put_words(out, g->name);
    fputs("'; return; fi\n      command=\"$3 $4\" ;;\n", out);
  }
  fputs("  esac\n  case \"$command $2\" in\n", out);
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) put_value_cases(out, g);
  fputs("    *)\n      case $1 in\n        -*) ;;\n        *) files=1; return ;;\n      esac\n"
        "      case $command in\n",
        out);
  put_option_cases(out);
  fputs("      esac ;;\n  esac\n}\n\n", out);
}

void lk_completion_bash(FILE *out) {
  fputs("# Completes the command lines of likeness in bash.\n", out);
  put_chooser(out);
  fputs("_likeness() {\n  local offers files current=${COMP_WORDS[COMP_CWORD]} command='' second=''\n"
        "  [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]}\n"
        "  [ \"$COMP_CWORD\" -gt 2 ] && second=${COMP_WORDS[2]}\n"
        "  _likeness_choose \"$current\" \"${COMP_WORDS[COMP_CWORD - 1]}\" \"$command\" \"$second\"\n"
        "  COMPREPLY=()\n"
        "  if [ -n \"$files\" ]; then compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
        "\"$current\"); fi\n"
        "  if [ -n \"$offers\" ]; then mapfile -t COMPREPLY < <(compgen -W \"$offers\" -- \"$current\"); fi\n"
        "}\n\ncomplete -F _likeness likeness\n",
        out);
}

void lk_completion_zsh(FILE *out) {
  fputs("#compdef likeness\n# Completes the command lines of likeness in zsh.\n", out);
  put_chooser(out);
  fputs("_likeness() {\n  local offers files first='' second=''\n"
        "  (( CURRENT > 2 )) && first=$words[2]\n  (( CURRENT > 3 )) && second=$words[3]\n"
        "  _likeness_choose \"$words[CURRENT]\" \"$words[CURRENT-1]\" \"$first\" \"$second\"\n"
        "  [[ -n $files ]] && _files\n  [[ -n $offers ]] && compadd -- ${=offers}\n}\n\n_likeness \"$@\"\n",
        out);
}
