/* Words of rules and requests (purposes, actors, jurisdictions, galleries, cases) as they are compared: two words that
 * people read as one must not be two. */
#ifndef GOVERNANCE_POLICY_WORD_H
#define GOVERNANCE_POLICY_WORD_H

#include <likeness/types.h>

enum { LK_WORD_MAX = 1024 }; /* code points */

typedef struct lk_word {
  int32_t points[LK_WORD_MAX + 1]; /* holds the bytes once the word is normalised */
} lk_word;

/* Normalises a word by NFKC_Casefold of the Unicode standard, which also drops characters that nobody sees, and trims
 * white space. `normalised` points into `word`, or is the text itself where nothing changes. Returns NULL, or what is
 * wrong with the text, as a static string: it is not UTF-8, or longer than LK_WORD_MAX. */
const char *lk_word_normalise(lk_text text, lk_word *word, lk_text *normalised);

#endif
