/* What a reply says, in few bytes: which job it answers, its status, and a digest of its candidate lists. The digest is
 * the same for both forms of a reply, and differs where one bit of a score, a number or a text does. Pure. */
#ifndef TESTS_FAULTS_ANSWER_H
#define TESTS_FAULTS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <likeness/likeness.h>

typedef struct answer {
  uint32_t job; /* its id, which is a number here */
  lk_status status;
  uint64_t digest; /* 0 unless the status is LK_OK */
  char text[80];   /* of an error, as far as it fits */
} answer;

/* Reads a reply of either form. False: it is none. */
bool answer_read(const char *bytes, size_t length, answer *read);

/* A digest begins with 0 and takes up each list: its count, then its candidates. */
uint64_t answer_digest_count(uint64_t digest, uint32_t count);
uint64_t answer_digest_candidate(uint64_t digest, const lk_candidate *candidate);

#endif
