/* A disk that fails and forgets, in place of lk_disk_system, for the files of one folder.
 *
 * Each call can fail; a write that fails has written a part. What was written, also to the map of a file, and not
 * synced is only in memory: a power cut can take it away, in whole or in part, sector by sector. So it can take each
 * name that was made, removed or renamed since the folder was synced. A sync that fails leaves the content in memory
 * and never brings it to the disk: later syncs succeed and write only what was written since, as Linux has it. */
#ifndef TESTS_SUPPORT_FAULTY_DISK_H
#define TESTS_SUPPORT_FAULTY_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/folder.h"
#include "tests/support/random.h"

extern const lk_disk faulty_disk;

/* Takes what is in the folder as what is on the disk, and counts calls from 0. */
void faulty_disk_start(const lk_folder *folder);
void faulty_disk_stop(void);

/* Call `nth` (from 1) fails with this error; with `all_after`, all later ones do too. 0: none. */
void faulty_disk_fail(uint32_t nth, int error, bool all_after);

/* So far, of all kinds, and of fsync. */
uint32_t faulty_disk_calls(void);
uint32_t faulty_disk_syncs(void);

/* The power goes: the folder is then what the disk has. `random`: how much of what was not synced is there, too; NULL:
 * nothing. All files must be closed. */
void faulty_disk_cut_power(random_state *random);

#endif
