/* A block emulator. It runs device code on the processor, one block or cluster at a time; threads are fibers.
 *
 * It is stricter than a GPU. A launch fails where threads of one block wait at different barriers or have left before
 * one, where lanes of one warp meet at different instructions, where all wait for each other, where a thread reads or
 * writes shared memory out of an array's bounds, where two threads use the same word of it, one of them writes, and the
 * later one has passed no barrier or mbarrier in between, and where a thread reads a copy's target before it has waited
 * for the copy. A copy happens when a thread waits for it, and its target is overwritten until then. Blocks and threads
 * run in another order at each launch.
 *
 * Global memory is the process's own: AddressSanitizer watches over it. One launch at a time. */
#ifndef TESTS_EMULATOR_EMULATOR_H
#define TESTS_EMULATOR_EMULATOR_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/emulator/lane.h"

/* Returns what went wrong; empty: nothing. `threads` is a multiple of 32. `cluster` blocks at a time run side by side
 * and may use each other's shared memory. What `kernel` holds when a launch fails is not destroyed. */
std::string emulator_launch(const std::function<void()> &kernel, uint32_t blocks, uint32_t threads,
                            uint32_t shared_bytes, uint32_t cluster = 1);

/* ---- what the emulator's ptx.cuh is made of: called by a kernel's threads ---- */

uint32_t emulator_thread();
uint32_t emulator_threads();
uint32_t emulator_block();
uint32_t emulator_blocks();

/* Ends the launch; does not return. */
[[noreturn]] void emulator_fail(const std::string &what);

/* The block's shared memory at `offset`, which the caller has bounded by its array. Marks it as read or written. */
void emulator_bound(uint32_t offset, uint32_t bytes);
const void *emulator_read(uint32_t offset, uint32_t bytes, emulator_site site);
void emulator_write(uint32_t offset, const void *from, uint32_t bytes, emulator_site site);
/* The same without a word about who used it before: for atomics. */
void *emulator_atomic(uint32_t offset, uint32_t bytes);

/* Waits for all threads of the block; true for all where any `value` is. */
bool emulator_barrier(bool value, emulator_site site);

/* Waits for all lanes of the warp: each brings `in`, the last to come calls `combine` for all of them, each leaves with
 * its `out`. */
void emulator_meet(const void *in, size_t in_bytes, void *out, size_t out_bytes, emulator_combine *combine,
                   emulator_site site, uint32_t group = 32);

/* Copies of 16 bytes, in groups; the oldest happen until `pending` groups are left. */
void emulator_copy(uint32_t offset, const void *from, emulator_site site);
void emulator_copy_commit();
void emulator_copy_wait(size_t pending);

/* ---- Hopper ---- */

/* Mbarriers, by their offset in shared memory. */
void emulator_mbarrier_make(uint32_t offset, uint32_t count);
void emulator_mbarrier_arrive(uint32_t offset, uint32_t bytes);
/* Arrives at the mbarrier of another block of the cluster. */
void emulator_mbarrier_arrive_at(uint32_t offset, uint32_t rank, emulator_site site);
void emulator_mbarrier_wait(uint32_t offset, uint32_t parity, emulator_site site);

/* Bulk copies: each arrives some time after a thread has asked for it. */
void emulator_bulk_copy(uint32_t offset, const void *from, uint32_t bytes, uint32_t mbarrier, emulator_site site);
/* Copies to the same offset in all blocks of the cluster; each block's own mbarrier counts. */
void emulator_bulk_copy_to_all(uint32_t offset, const void *from, uint32_t bytes, uint32_t mbarrier,
                               emulator_site site);

/* Waits for all threads of the cluster. */
void emulator_cluster_barrier(emulator_site site);

/* Products of a group of four warps: 64 x 32 times 32 x 256, both in shared memory. They happen when they are waited
 * for, not before. */
void emulator_product(int32_t *sums, uint64_t a, uint64_t b, bool adds);
void emulator_product_commit();
void emulator_product_wait(size_t pending, emulator_site site);

#endif
