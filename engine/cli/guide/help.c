#include "engine/cli/guide/help.h"

#include <string.h>

#include "base/text.h"

enum { COLUMNS = 80, INDENT = 2, SUMMARY_AT = 18, OPTION_AT = 28 };

/* Fills lines with the words of the text, each beginning at column `indent`; the first stands at `at`. */
static void fill(FILE *out, const char *text, int at, int indent) {
  bool begun = false;
  while (*text != '\0') {
    int length = (int)strcspn(text, " ");
    if (begun && at + 1 + length > COLUMNS) {
      fprintf(out, "\n%*s", indent, "");
      at = indent;
      begun = false;
    }
    fprintf(out, "%s%.*s", begun ? " " : "", length, text);
    at += length + begun;
    begun = true;
    text += length + (text[length] == ' ');
  }
  fputc('\n', out);
}

static void put_line(FILE *out, const lk_guide *guide) {
  int at = fprintf(out, "%*s%-*s", INDENT, "", SUMMARY_AT - INDENT, guide->name);
  fill(out, guide->summary, at, SUMMARY_AT);
}

static void put_exits(FILE *out) {
  fputs("\nexit codes:\n", out);
  for (const lk_guide_exit *e = lk_guide_exits; e->text != NULL; e++)
    fprintf(out, "%*s%-5d%s\n", INDENT, "", e->code, e->text);
}

void lk_help_overview(FILE *out) {
  fputs("Likeness: exact 1:N search over galleries of embeddings.\n\nusage: likeness COMMAND ...\n\n", out);
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) put_line(out, g);
  put_exits(out);
  fputs("\n`likeness help COMMAND` tells more about one.\n", out);
}

int lk_help_group(FILE *out, const char *word) {
  size_t length = strlen(word);
  int count = 0;
  for (const lk_guide *g = lk_guides; g->name != NULL; g++)
    if (strncmp(g->name, word, length) == 0 && g->name[length] == ' ') {
      if (count++ == 0) fprintf(out, "usage: likeness %s COMMAND ...\n\n", word);
      put_line(out, g);
    }
  return count;
}

static void put_option(FILE *out, const lk_guide_option *option) {
  int at = fprintf(out, "%*s%s", INDENT, "", option->name);
  if (option->value != NULL) at += fprintf(out, " %s", option->value);
  fprintf(out, at + 2 > OPTION_AT ? "\n%*s" : "%*s", at + 2 > OPTION_AT ? OPTION_AT : OPTION_AT - at, "");
  fill(out, option->text, OPTION_AT, OPTION_AT);
}

void lk_help_command(FILE *out, const lk_guide *guide) {
  int at = fprintf(out, "usage: likeness %s ", guide->name), indent = at;
  char usage[256];
  snprintf(usage, sizeof usage, "%s [OPTION]...", guide->operands);
  fill(out, usage, at, indent);
  fprintf(out, "\n%c", guide->summary[0] - 'a' + 'A');
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s.%s%s", guide->summary + 1, guide->text != NULL ? " " : "",
           guide->text != NULL ? guide->text : "");
  fill(out, sentence, 1, 0);
  for (const lk_guide_option *o = guide->options; o != NULL && o->name != NULL; o++) {
    if (o == guide->options) fputs("\noptions:\n", out);
    put_option(out, o);
  }
  if (guide->claims) fputs("\nif the gallery is bound to a policy:\n", out);
  for (const lk_guide_option *o = lk_guide_claims; guide->claims && o->name != NULL; o++) put_option(out, o);
  fprintf(out, "\nexample:\n%*s%s\n", INDENT, "", guide->example);
}

const lk_guide *lk_guide_of(const char *name) {
  for (const lk_guide *g = lk_guides; g->name != NULL; g++)
    if (strcmp(g->name, name) == 0) return g;
  return NULL;
}

static const char *command_name(const void *context, int number) {
  (void)context;
  return lk_guides[number].name;
}

const char *lk_guide_nearest(const char *name) {
  int count = 0;
  while (lk_guides[count].name != NULL) count++;
  return lk_text_nearest(lk_text_of(name), command_name, NULL, count);
}

static const char *option_name(const void *guide, int number) { return lk_guide_option_at(guide, number)->name; }

const char *lk_guide_nearest_option(const lk_guide *guide, const char *name, size_t length) {
  int count = 0;
  while (lk_guide_option_at(guide, count) != NULL) count++;
  return lk_text_nearest((lk_text){.bytes = name, .length = (uint32_t)length}, option_name, guide, count);
}
