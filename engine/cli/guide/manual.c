#include "engine/cli/guide/manual.h"

#include <likeness/version.h>

/* Text for troff, which takes \ for itself, - for a hyphen, and ' and . at a line's begin for a request. */
static void put_text(FILE *out, const char *text) {
  if (*text == '.' || *text == '\'') fputs("\\&", out);
  for (; *text != '\0'; text++) {
    if (*text == '\\')
      fputs("\\e", out);
    else if (*text == '-')
      fputs("\\-", out);
    else if (*text == '`' || *text == '\'')
      fputs(*text == '`' ? "\\(ga" : "\\(aq", out);
    else
      fputc(*text, out);
  }
}

static void put_title(FILE *out, const char *name) {
  fputs(".TH ", out);
  for (; *name != '\0'; name++) fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
  fputs(" 1 \"\" \"likeness " LK_VERSION "\" \"Likeness\"\n.SH NAME\n", out);
}

static void put_options(FILE *out, const lk_guide_option *option) {
  for (; option != NULL && option->name != NULL; option++) {
    fputs(".TP\n.B ", out);
    put_text(out, option->name);
    if (option->value != NULL) {
      fputs(" \\fI", out);
      put_text(out, option->value);
      fputs("\\fR", out);
    }
    fputc('\n', out);
    put_text(out, option->text);
    fputs(".\n", out);
  }
}

static void put_exits(FILE *out) {
  fputs(".SH EXIT STATUS\n", out);
  for (const lk_guide_exit *e = lk_guide_exits; e->text != NULL; e++) {
    fprintf(out, ".TP\n.B %d\n", e->code);
    put_text(out, e->text);
    fputs(".\n", out);
  }
}

void lk_manual_name(const lk_guide *guide, char name[LK_MANUAL_NAME_MAX]) {
  snprintf(name, LK_MANUAL_NAME_MAX, "likeness-%s", guide->name);
  for (; *name != '\0'; name++)
    if (*name == ' ') *name = '-';
}

void lk_manual_overview(FILE *out) {
  char name[LK_MANUAL_NAME_MAX];
  put_title(out, "likeness");
  fputs("likeness \\- exact 1:N search over galleries of embeddings\n.SH SYNOPSIS\n.B likeness\n.I COMMAND\n\\&...\n"
        ".SH DESCRIPTION\nLikeness compares each probe with every row of a gallery and returns the exact ranked "
        "candidates.\n.SH COMMANDS\n",
        out);
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    lk_manual_name(g, name);
    fputs(".TP\n.BR ", out);
    put_text(out, name);
    fputs(" (1)\n", out);
    put_text(out, g->summary);
    fputs(".\n", out);
  }
  put_exits(out);
}

void lk_manual_command(FILE *out, const lk_guide *guide) {
  char name[LK_MANUAL_NAME_MAX];
  lk_manual_name(guide, name);
  put_title(out, name);
  put_text(out, name);
  fputs(" \\- ", out);
  put_text(out, guide->summary);
  fprintf(out, "\n.SH SYNOPSIS\n.B likeness %s\n", guide->name);
  put_text(out, guide->operands);
  fputs(" [OPTION]...\n.SH DESCRIPTION\n.B likeness ", out);
  fprintf(out, "%s\n", guide->name);
  fputs("serves to ", out);
  put_text(out, guide->summary);
  fputs(".\n", out);
  if (guide->text != NULL) {
    put_text(out, guide->text);
    fputc('\n', out);
  }
  if (guide->options != NULL) fputs(".SH OPTIONS\n", out);
  put_options(out, guide->options);
  if (guide->claims) {
    fputs(".SH OPTIONS FOR GALLERIES THAT ARE BOUND TO A POLICY\n", out);
    put_options(out, lk_guide_claims);
  }
  fputs(".SH EXAMPLE\n.EX\n", out);
  put_text(out, guide->example);
  fputs("\n.EE\n", out);
  put_exits(out);
  fputs(".SH SEE ALSO\n.BR likeness (1)\n", out);
}
