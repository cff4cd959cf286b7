/* The DET plot: FNIR against FPIR on logarithmic axes, one curve for all searches and one for each group. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/render_evaluate.h"

/* The plot is a square; the legend is to its right. Units: pixels. */
enum { LEFT = 80, TOP = 60, SIDE = 440, WIDTH = 800, LEGEND = LEFT + SIDE + 24, LEGEND_STEP = 40, FOOT = 80 };

/* Mostly Okabe and Ito's colours, which colour-blind readers can tell apart. From the ninth group on they repeat,
 * dashed. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#999999", "#a6761d"};
enum { COLOURS = sizeof colours / sizeof colours[0] };

typedef struct axes {
  int fpir_decades, fnir_decades; /* down from 1 */
} axes;

/* The number of decades below 1 that an axis needs to show one error in `of` searches. */
static int decades_for(uint64_t of) { return of > 0 ? (int)ceil(log10((double)of) + 0.01) : 1; }

/* The position on the axis, 0 .. 1. A logarithmic axis cannot show a rate of zero: it is drawn on the edge. */
static double position(lk_rate rate, int decades) {
  double value = lk_rate_value(rate), edge = -decades;
  double log_value = value > 0 ? log10(value) : edge;
  return (fmax(log_value, edge) - edge) / decades;
}

static double x_of(const axes *a, lk_rate fpir) { return LEFT + SIDE * position(fpir, a->fpir_decades); }
static double y_of(const axes *a, lk_rate fnir) { return TOP + SIDE * (1 - position(fnir, a->fnir_decades)); }

/* Bytes of the character at `s` that XML writes in another way, or not at all; 0: it is any other character. */
static uint32_t xml_special(const char *s, uint32_t left) {
  if (left >= 3 && memcmp(s, "\xef\xbf", 2) == 0 && (uint8_t)s[2] >= 0xbe) return 3;
  return s[0] != '\0' && strchr("&<>\"", s[0]) != NULL ? 1 : 0;
}

/* Writes '?' for U+FFFE and U+FFFF, the only characters of a name that XML forbids. */
static void print_escaped(FILE *out, const char *bytes, uint32_t length) {
  for (uint32_t begin = 0, end, special; begin < length; begin = end + special) {
    end = begin;
    while (end < length && xml_special(bytes + end, length - end) == 0) end++;
    special = end < length ? xml_special(bytes + end, length - end) : 0;
    lk_printable_put(out, (lk_text){.bytes = bytes + begin, .length = end - begin}, 0);
    if (special == 1) fprintf(out, "&#%d;", bytes[end]);
    if (special == 3) fputc('?', out);
  }
}

static void print_text(FILE *out, double x, double y, const char *anchor, const char *text) {
  fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  print_escaped(out, text, (uint32_t)strlen(text));
  fputs("</text>\n", out);
}

static void print_grid_line(FILE *out, double x1, double y1, double x2, double y2) {
  fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x1, y1, x2, y2);
}

/* Draws a grid line and a label at each decade. */
static void print_axes(FILE *out, const axes *a) {
  char label[16];
  for (int d = 0; d <= a->fpir_decades; d++) {
    double x = LEFT + (double)SIDE * d / a->fpir_decades;
    snprintf(label, sizeof label, "%g", pow(10, d - a->fpir_decades));
    print_grid_line(out, x, TOP, x, TOP + SIDE);
    print_text(out, x, TOP + SIDE + 18, "middle", label);
  }
  for (int d = 0; d <= a->fnir_decades; d++) {
    double y = TOP + SIDE - (double)SIDE * d / a->fnir_decades;
    snprintf(label, sizeof label, "%g", pow(10, d - a->fnir_decades));
    print_grid_line(out, LEFT, y, LEFT + SIDE, y);
    print_text(out, LEFT - 8, y + 4, "end", label);
  }
  fprintf(out, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", LEFT, TOP, SIDE, SIDE);
  print_text(out, LEFT + SIDE / 2.0, TOP + SIDE + 40, "middle", "false positive identification rate (FPIR)");
  fprintf(out, "<g transform=\"translate(%d %d) rotate(-90)\">", LEFT - 56, TOP + SIDE / 2);
  print_text(out, 0, 0, "middle", "false negative identification rate (FNIR)");
  fputs("</g>\n", out);
}

/* The rates change only at observed scores, so the curve is a staircase: FPIR rises, then FNIR falls. */
static void print_curve(FILE *out, const axes *a, const lk_det *det, const char *colour, const char *more) {
  fprintf(out, "<polyline class=\"curve\" stroke=\"%s\"%s points=\"", colour, more);
  for (uint32_t i = 0; i < det->count; i++) {
    double x = x_of(a, det->points[i].fpir), y = y_of(a, det->points[i].fnir);
    if (i > 0) fprintf(out, " %.1f,%.1f", x, y_of(a, det->points[i - 1].fnir));
    fprintf(out, "%s%.1f,%.1f", i > 0 ? " " : "", x, y);
  }
  fputs("\"/>\n", out);
}

static void print_legend(FILE *out, uint32_t line, const char *colour, const char *more, lk_text name, lk_rate fpir,
                         lk_rate fnir) {
  int y = TOP + 8 + (int)line * LEGEND_STEP;
  char rates[96];
  fprintf(out, "<line class=\"curve\" stroke=\"%s\"%s x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", colour, more,
          LEGEND, y, LEGEND + 24, y);
  fprintf(out, "<text x=\"%d\" y=\"%d\">", LEGEND + 32, y + 4);
  print_escaped(out, name.bytes, name.length);
  fputs("</text>\n", out);
  snprintf(rates, sizeof rates, "FPIR %" PRIu64 "/%" PRIu64 ", FNIR %" PRIu64 "/%" PRIu64, fpir.count, fpir.of,
           fnir.count, fnir.of);
  print_text(out, LEGEND + 32, y + 20, "start", rates);
}

/* Prints the group's legend line and, if the group has both mated and non-mated searches, its curve with a dot at the
 * evaluation's threshold. */
static lk_status print_group(FILE *out, const lk_evaluation *e, const axes *a, uint32_t group, lk_text name,
                             uint32_t line, lk_error *error) {
  const char *colour = line == 0 ? "#000000" : colours[(line - 1) % COLOURS];
  const char *more = line == 0 ? " stroke-width=\"2.5\"" : line > COLOURS ? " stroke-dasharray=\"5 3\"" : "";
  lk_rate fpir = lk_trials_fpir(e->trials, group, e->threshold);
  lk_rate fnir = lk_trials_fnir(e->trials, group, e->threshold, e->rank);
  print_legend(out, line, colour, more, name, fpir, fnir);
  if (fpir.of == 0 || fnir.of == 0) return LK_OK;
  lk_det det;
  lk_status status = lk_det_open(e->trials, group, e->rank, &det, error);
  if (status != LK_OK) return status;
  lk_det_thin(&det);
  print_curve(out, a, &det, colour, more);
  fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x_of(a, fpir), y_of(a, fnir), colour);
  lk_det_close(&det);
  return LK_OK;
}

static void print_titles(FILE *out, const lk_evaluation *e) {
  char line[128];
  fprintf(out, "<text class=\"title\" x=\"%d\" y=\"24\">DET: %s, model ", LEFT, e->gallery.name);
  print_escaped(out, e->gallery.model, (uint32_t)strlen(e->gallery.model));
  fputs("</text>\n", out);
  snprintf(line, sizeof line, "%u searches at rank %u; dots: threshold %.9g; rates of zero are drawn on the edge",
           e->trials->count, e->rank, (double)e->threshold);
  print_text(out, LEFT, 44, "start", line);
}

lk_status lk_render_evaluation_svg(FILE *out, const lk_evaluation *e, lk_error *error) {
  const lk_trials *trials = e->trials;
  axes a = {.fpir_decades = decades_for(lk_trials_non_mated(trials, LK_GROUP_ALL)),
            .fnir_decades = decades_for(lk_trials_mated(trials, LK_GROUP_ALL))};
  int legend = LEGEND_STEP * ((int)trials->groups_count + 1);
  int height = TOP + (legend > SIDE ? legend : SIDE) + FOOT;
  fprintf(out,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
          "font-family=\"sans-serif\" font-size=\"12\" stroke-width=\"1.5\">\n"
          "<style>.grid{stroke:#ddd;stroke-width:1}.frame{stroke:#333;fill:none}.curve{fill:none}"
          ".title{font-size:15px}</style>\n"
          "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
          WIDTH, height, WIDTH, height, WIDTH, height);
  print_titles(out, e);
  print_axes(out, &a);
  lk_status status = LK_OK;
  for (uint32_t i = trials->groups_count; status == LK_OK && i > 0; i--)
    status = print_group(out, e, &a, i - 1, trials->groups[i - 1], i, error);
  lk_text all = {.bytes = "all", .length = 3};
  if (status == LK_OK) status = print_group(out, e, &a, LK_GROUP_ALL, all, 0, error);
  fputs("</svg>\n", out);
  return status == LK_OK && ferror(out) ? lk_fail(error, LK_EIO, "cannot write the output") : status;
}
