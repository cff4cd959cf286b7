#include "governance/evidence.h"

#include <string.h>

enum { HASH_BYTES = (LK_EVIDENCE_HEX - 1) / 2 };

static void start(crypto_generichash_state *state, const char *id) {
  crypto_generichash_init(state, (const unsigned char *)id, strlen(id), HASH_BYTES);
}

static void add(crypto_generichash_state *state, const void *bytes, size_t size) {
  crypto_generichash_update(state, bytes, size);
}

static void end(crypto_generichash_state *state, char hex[LK_EVIDENCE_HEX]) {
  unsigned char hash[HASH_BYTES];
  crypto_generichash_final(state, hash, sizeof hash);
  sodium_bin2hex(hex, LK_EVIDENCE_HEX, hash, sizeof hash);
}

/* A list that is given and empty confines the search to nothing; one that is not given does not confine it. */
static void add_texts(crypto_generichash_state *state, const lk_text *texts, uint32_t count) {
  uint8_t given = texts != NULL;
  add(state, &given, sizeof given);
  if (texts == NULL) return;
  add(state, &count, sizeof count);
  for (uint32_t i = 0; i < count; i++) {
    add(state, &texts[i].length, sizeof texts[i].length);
    add(state, texts[i].bytes, texts[i].length);
  }
}

/* Only the tags that the mask selects count. */
static void hash_filter(const lk_narrowing *n, const char *id, char hex[LK_EVIDENCE_HEX]) {
  crypto_generichash_state state;
  uint64_t tags = n->tags & n->mask;
  start(&state, id);
  add(&state, &n->mask, sizeof n->mask);
  add(&state, &tags, sizeof tags);
  add_texts(&state, n->keys, n->keys_count);
  add_texts(&state, n->subjects, n->subjects_count);
  end(&state, hex);
}

static void append_kind(char kind[LK_EVIDENCE_KIND], const char *word) {
  if (kind[0] != '\0') strcat(kind, "+");
  strcat(kind, word);
}

static void name_kind(const lk_narrowing *n, char kind[LK_EVIDENCE_KIND]) {
  if (n->keys != NULL) append_kind(kind, "keys");
  if (n->subjects != NULL) append_kind(kind, n->verifies ? "subject" : "subjects");
  if (n->mask != 0) append_kind(kind, "tags");
}

void lk_evidence_write(const lk_evidence *evidence, const char *id, lk_evidence_text *text) {
  *text = (lk_evidence_text){0};
  if (evidence->probes != NULL) {
    crypto_generichash_state state;
    start(&state, id);
    add(&state, evidence->probes, evidence->floats * sizeof *evidence->probes);
    end(&state, text->probes);
  }
  if (!evidence->searches) return;
  name_kind(&evidence->narrowing, text->narrowing);
  if (text->narrowing[0] != '\0')
    hash_filter(&evidence->narrowing, id, text->filter);
  else
    strcpy(text->narrowing, "none");
}

void lk_answer_hash_start(lk_answer_hash *hash, const char *id) { start(&hash->state, id); }

void lk_answer_hash_list(lk_answer_hash *hash, uint32_t candidates) {
  add(&hash->state, &candidates, sizeof candidates);
}

void lk_answer_hash_candidate(lk_answer_hash *hash, uint64_t number, float score) {
  add(&hash->state, &number, sizeof number);
  add(&hash->state, &score, sizeof score);
}

void lk_answer_hash_end(lk_answer_hash *hash, char hex[LK_EVIDENCE_HEX]) { end(&hash->state, hex); }
