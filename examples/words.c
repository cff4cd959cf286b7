// words: an embedding of English words, small enough to read, to see the engine work with.
//
//   words gallery WORDLIST OUT.npy OUT.csv                    one row per word, and labels for `likeness enroll`
//   words probes  DICTIONARY WORDLIST OUT.npy OUT.csv         one row per misspelling, from codespell's dictionary
//   words judge   PROBES.csv CANDIDATES.csv                   shows the results of `likeness submit --format csv`
//
// A word becomes the set of its letters and of its pairs of neighbouring letters; in a pair, the two ends of the word
// count as letters. The second "e" of a word is a member of its own. Each member is hashed to one of DIM elements and a
// sign (Weinberger et al., 2009), so the cosine of two words is about the share of members that they have in common. A
// typing error changes few members. We tried weights, longer runs, skipped letters and positions in the word: none
// gained more than one right word in a hundred, and weighting by rarity lost many.
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/text.h"

enum { DIM = 256, SHOWN = 5, WITHIN = 10 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static int compare_ignoring_case(const char *a, const char *b) {
  while (*a && lower(*a) == lower(*b)) a++, b++;
  return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

// ---- the embedding

static uint64_t hash(uint64_t seed, const char *bytes, size_t count) {
  const uint64_t prime = UINT64_C(0x100000001b3);
  uint64_t h = (UINT64_C(0xcbf29ce484222325) ^ seed) * prime;  // FNV-1a
  for (size_t i = 0; i < count; i++) h = (h ^ (unsigned char)bytes[i]) * prime;
  h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);  // FNV mixes the low bits badly, and they choose the element
  return h ^ h >> 29;
}

static void add_runs(const char *text, size_t length, size_t run, float *row) {
  for (size_t i = 0; i + run <= length; i++) {
    uint64_t before = 0;
    for (size_t j = 0; j < i; j++) before += memcmp(text + j, text + i, run) == 0;
    uint64_t h = hash(before, text + i, run);
    row[h / 2 % DIM] += h & 1 ? 1 : -1;
  }
}

// The row is never zero, which the engine would refuse: a word of n bytes has n letters and n + 1 pairs, so it adds an
// odd number of ones of either sign. The row is not normalised: a cosine gallery does not need it.
static void embed(const char *word, float *row) {
  char text[LINE_BYTES + 2] = "\2";
  size_t length = strlen(word);
  for (size_t i = 0; i < length; i++) text[i + 1] = lower(word[i]);
  text[length + 1] = '\3';
  memset(row, 0, DIM * sizeof *row);
  add_runs(text + 1, length, 1, row);
  add_runs(text, length + 2, 2, row);
}

static FILE *npy_create(const char *path, size_t rows) {
  char header[118];
  int length =
      snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %d), }", rows, DIM);
  memset(header + length, ' ', sizeof header - (size_t)length);
  header[sizeof header - 1] = '\n';
  FILE *file = create(path);
  fwrite("\x93NUMPY\1\0\x76\0", 1, 10, file);  // version 1.0, then the header's length, 118
  fwrite(header, 1, sizeof header, file);
  return file;
}

static void npy_put(FILE *file, const char *word) {
  float row[DIM];
  embed(word, row);
  fwrite(row, sizeof *row, DIM, file);
}

// ---- the word list

struct words {
  char **items;
  size_t count, possessives, repeats;
};

static int compare_words(const void *a, const void *b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  int order = compare_ignoring_case(x, y);
  return order ? order : -strcmp(x, y);  // "march" comes before "March", so "march" is kept
}

static void words_drop_repeats(struct words *words) {
  size_t kept = 0;
  for (size_t i = 0; i < words->count; i++) {
    if (kept && compare_ignoring_case(words->items[kept - 1], words->items[i]) == 0) {
      free(words->items[i]);
    } else {
      words->items[kept++] = words->items[i];
    }
  }
  words->repeats = words->count - kept;
  words->count = kept;
}

// Reads the words in alphabetical order, without possessives ("dog's"). Words that differ only in case count once.
static struct words words_read(const char *path) {
  struct words words = {0};
  struct lines lines = lines_open(path);
  for (const char *text; (text = lines_next(&lines));) {
    size_t length = strlen(text);
    if (length == 0) continue;
    if (length > 2 && strcmp(text + length - 2, "'s") == 0) {
      words.possessives++;
      continue;
    }
    words.items = grow(words.items, words.count, sizeof *words.items);
    words.items[words.count++] = copy(text);
  }
  if (!words.count) fail("%s: no words", path);
  qsort(words.items, words.count, sizeof *words.items, compare_words);
  words_drop_repeats(&words);
  return words;
}

static int compare_key(const void *key, const void *item) { return compare_ignoring_case(key, *(char *const *)item); }

static bool words_have(const struct words *words, const char *word) {
  return bsearch(word, words->items, words->count, sizeof *words->items, compare_key) != NULL;
}

static void words_free(struct words *words) {
  for (size_t i = 0; i < words->count; i++) free(words->items[i]);
  free(words->items);
}

static void make_gallery(char **paths, size_t unused) {
  (void)unused;
  struct words words = words_read(paths[0]);
  FILE *npy = npy_create(paths[1], words.count), *csv = create(paths[2]);
  fputs("row,key,subject\n", csv);
  for (size_t i = 0; i < words.count; i++) {
    npy_put(npy, words.items[i]);
    fprintf(csv, "%zu,", i);
    csv_put(csv, words.items[i], ',');
    csv_put(csv, words.items[i], '\n');
  }
  finish(npy, paths[1]);
  finish(csv, paths[2]);
  printf("%zu words in %d dimensions (left out: %zu possessives, %zu that differ from another word only in case)\n",
         words.count, DIM, words.possessives, words.repeats);
  words_free(&words);
}

// ---- misspellings: as probes, and judged

struct probe {
  char *misspelling, *corrections;  // corrections: those that can be found, with '|' between
  size_t found_at;                  // the best rank of one of them, from 1; 0 for none
  char *shown[SHOWN];
};

struct probes {
  struct probe *items;
  size_t count;
};

static void probes_add(struct probes *probes, const char *misspelling, const char *corrections) {
  probes->items = grow(probes->items, probes->count, sizeof *probes->items);
  probes->items[probes->count++] = (struct probe){.misspelling = copy(misspelling), .corrections = copy(corrections)};
}

static void probes_free(struct probes *probes) {
  for (size_t i = 0; i < probes->count; i++) {
    free(probes->items[i].misspelling);
    free(probes->items[i].corrections);
    for (size_t j = 0; j < SHOWN; j++) free(probes->items[i].shown[j]);
  }
  free(probes->items);
}

// Keeps the items of `list` ("one, two") that are in the list of words, joined with '|', in place. False: none are.
static bool keep_known(const struct words *words, char *list) {
  char *to = list;
  for (char *item = list, *next; item; item = next) {
    next = strchr(item, ',');
    if (next) *next++ = '\0';
    item += strspn(item, " ");
    if (!words_have(words, item)) continue;
    if (to > list) *to++ = '|';
    size_t length = strlen(item);
    memmove(to, item, length);
    to += length;
  }
  *to = '\0';
  return to > list;
}

// Lines are "misspelling->correction" or "misspelling->one, two, reason": after a last comma, a reason or nothing.
static struct probes dictionary_read(const char *path, const struct words *words, size_t *lines_count) {
  struct probes probes = {0};
  struct lines lines = lines_open(path);
  for (char *text; (text = lines_next(&lines));) {
    char *corrections = strstr(text, "->");
    if (!corrections || corrections == text || !corrections[2]) {
      fail("%s, line %zu: expected misspelling->correction", path, lines.number);
    }
    *corrections = '\0';
    corrections += 2;
    char *reason = strrchr(corrections, ',');
    if (reason) *reason = '\0';
    if (keep_known(words, corrections)) probes_add(&probes, text, corrections);
  }
  *lines_count = lines.number - 1;
  if (!probes.count) fail("%s: no misspelling of a word in the list", path);
  return probes;
}

static void make_probes(char **paths, size_t limit) {
  struct words words = words_read(paths[1]);
  size_t lines_count;
  struct probes probes = dictionary_read(paths[0], &words, &lines_count);
  size_t count = limit && limit < probes.count ? limit : probes.count;
  FILE *npy = npy_create(paths[2], count), *csv = create(paths[3]);
  fputs("row,misspelling,corrections\n", csv);
  for (size_t i = 0; i < count; i++) {
    const struct probe *probe = &probes.items[i * probes.count / count];
    npy_put(npy, probe->misspelling);
    fprintf(csv, "%zu,", i);
    csv_put(csv, probe->misspelling, ',');
    csv_put(csv, probe->corrections, '\n');
  }
  finish(npy, paths[2]);
  finish(csv, paths[3]);
  printf("%zu misspellings (of %zu in the dictionary, %zu have a correction in the list of words)\n", count,
         lines_count, probes.count);
  probes_free(&probes);
  words_free(&words);
}

static struct probes probes_read(const char *path) {
  struct probes probes = {0};
  struct lines lines = csv_open(path, "row,misspelling,corrections");
  for (char *text, *fields[3]; (text = lines_next(&lines));) {
    csv_split(&lines, text, fields, 3);
    size_t row = csv_count(&lines, fields[0]);
    if (row != probes.count) fail("%s, line %zu: expected row %zu", path, lines.number, probes.count);
    probes_add(&probes, fields[1], fields[2]);
  }
  if (!probes.count) fail("%s: no probes", path);
  return probes;
}

static bool is_correction(const struct probe *probe, const char *word) {
  size_t length = strlen(word);
  for (const char *item = probe->corrections; *item; item += *item == '|') {
    size_t item_length = strcspn(item, "|"), same = 0;
    while (same < item_length && lower(item[same]) == lower(word[same])) same++;
    if (same == item_length && same == length) return true;
    item += item_length;
  }
  return false;
}

static void candidates_read(const char *path, struct probes *probes) {
  struct lines lines = csv_open(path, "probe,rank,key,subject,score");
  for (char *text, *fields[5]; (text = lines_next(&lines));) {
    csv_split(&lines, text, fields, 5);
    size_t row = csv_count(&lines, fields[0]), rank = csv_count(&lines, fields[1]);
    if (row >= probes->count) fail("%s, line %zu: there are only %zu probes", path, lines.number, probes->count);
    if (rank == 0) fail("%s, line %zu: ranks start at 1", path, lines.number);
    struct probe *probe = &probes->items[row];
    if (rank <= SHOWN) {
      free(probe->shown[rank - 1]);
      probe->shown[rank - 1] = copy(fields[2]);
    }
    if (is_correction(probe, fields[2]) && (!probe->found_at || rank < probe->found_at)) probe->found_at = rank;
  }
}

static void show(const struct probe *probe) {
  printf("  %-18s", probe->misspelling);
  for (size_t i = 0; i < SHOWN && probe->shown[i]; i++) {
    printf(is_correction(probe, probe->shown[i]) ? " [%s]" : " %s", probe->shown[i]);
  }
  if (probe->found_at > SHOWN) printf(" ... [%s] at rank %zu", probe->corrections, probe->found_at);
  if (!probe->found_at) printf(" ... not found: %s", probe->corrections);
  putchar('\n');
}

static void print_share(const char *what, size_t part, size_t whole) {
  printf("%s: %zu of %zu (%.1f %%)\n", what, part, whole, 100.0 * (double)part / (double)whole);
}

static void judge(char **paths, size_t wanted) {
  struct probes probes = probes_read(paths[0]);
  candidates_read(paths[1], &probes);
  size_t count = wanted < probes.count ? wanted : probes.count, first = 0, within = 0;
  printf("  %-18s %s\n", "misspelled", "most similar first, [correct] in brackets");
  for (size_t i = 0; i < count; i++) show(&probes.items[(2 * i + 1) * probes.count / (2 * count)]);
  for (size_t i = 0; i < probes.count; i++) {
    first += probes.items[i].found_at == 1;
    within += probes.items[i].found_at >= 1 && probes.items[i].found_at <= WITHIN;
  }
  print_share("a correct word comes first    ", first, probes.count);
  print_share("a correct word is among the 10", within, probes.count);
  probes_free(&probes);
}

// ---- the command line

static const struct command {
  const char *name, *arguments, *option;
  int paths;
  size_t option_default;
  void (*run)(char **paths, size_t option);
} commands[] = {
    {"gallery", "WORDLIST OUT.npy OUT.csv", NULL, 3, 0, make_gallery},
    {"probes", "DICTIONARY WORDLIST OUT.npy OUT.csv [--limit N]", "--limit", 4, 0, make_probes},
    {"judge", "PROBES.csv CANDIDATES.csv [--show N]", "--show", 2, 20, judge},
};

static int usage(void) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(stderr, "%s words %s %s\n", i ? "      " : "usage:", commands[i].name, commands[i].arguments);
  }
  return 2;
}

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
    const struct command *command = &commands[i];
    if (strcmp(argv[1], command->name) != 0) continue;
    size_t option = command->option_default;
    char **rest = argv + 2 + command->paths;
    bool has_option = argc == command->paths + 4 && command->option && strcmp(rest[0], command->option) == 0;
    if (!has_option && argc != command->paths + 2) return usage();
    if (has_option && !parse_count(rest[1], &option)) return usage();
    command->run(argv + 2, option);
    if (fflush(stdout)) fail("cannot write: %s", strerror(errno));
    return 0;
  }
  return usage();
}
