/* What the library itself finds for the probes of the gallery "faces", in this process: what every job must get. */
#ifndef TESTS_FAULTS_REFERENCE_H
#define TESTS_FAULTS_REFERENCE_H

#include <stdint.h>

enum { REFERENCE_K_MOST = 10 };

/* Searches for each probe once. Ends the process where that fails. */
void reference_open(const char *gallery);
void reference_close(void);

/* The digest (answer.h) of the right answer to a job with `n` probes from the probe `first` on (they go round) and `k`
 * up to REFERENCE_K_MOST. */
uint64_t reference_digest(uint32_t first, uint32_t n, uint32_t k);

#endif
