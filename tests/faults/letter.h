/* A job as the fields of its stream entry. */
#ifndef TESTS_FAULTS_LETTER_H
#define TESTS_FAULTS_LETTER_H

#include "engine/queue/redis.h"
#include "engine/queue/signature.h"
#include "tests/e2e/e2e.h"
#include "tests/faults/account.h"

enum { LETTER_PROBES_MOST = 64, LETTER_POISON_PROBES = 5, LETTER_FIELDS_MOST = 16 };

typedef struct letter {
  lk_field fields[LETTER_FIELDS_MOST];
  size_t count;
  char id[16], n[16], k[16], signed_ms[24], signature[LK_SIGNATURE_HEX];
  float probes[LETTER_PROBES_MOST * FACES_DIM];
} letter;

/* The probes of a poison job are multiples of 1, 2, 3, ..., which tests/faults/poison.c knows. `key`: NULL, or who
 * signs as "desk" now. The texts belong to the letter, `to` to the caller. */
void letter_write(letter *letter, uint32_t number, const account_job *job, const char *to, const lk_signing_key *key);
/* Adds names and values. */
void letter_add(const letter *letter, lk_command *command);

#endif
