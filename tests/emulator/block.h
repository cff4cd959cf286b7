/* The state of the emulator: the blocks of the cluster that it runs, which is mostly one block. Its two files share it:
 * what all GPUs have (emulator.cc) and what Hopper adds (hopper.cc). */
#ifndef TESTS_EMULATOR_BLOCK_H
#define TESTS_EMULATOR_BLOCK_H

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/emulator/fiber.h"
#include "tests/emulator/lane.h"

namespace emulator {

enum state { RUNS, AT_BARRIER, IN_GROUP, AT_MBARRIER, DONE };

struct copy {
  uint32_t offset;
  const void *from;
};

/* A product of a warp group that has been asked for. */
struct product {
  int32_t *sums;
  uint64_t a, b;
  bool adds;
};

struct thread {
  fiber own;
  state now;
  emulator_site site;
  emulator_combine *combine;
  bool vote;
  uint64_t acquired;                    /* the last barrier or mbarrier that it passed */
  std::vector<copy> open;               /* not yet committed */
  std::deque<std::vector<copy>> groups; /* oldest first */
  uint32_t mbarrier;                    /* that it waits at */
  uint32_t mbarrier_parity;
  std::vector<product> products; /* not yet committed */
  std::deque<std::vector<product>> product_groups;
};

/* Who used a word of shared memory last, and when. */
struct word {
  uint32_t writer, reader; /* reader `many`: several */
  uint64_t written, read;
  bool in_flight;
};
const uint32_t many = UINT32_MAX;

struct mbarrier {
  uint32_t count, left, phase;
  int64_t bytes; /* announced and not yet there */
  uint64_t passed;
};

struct bulk_copy {
  uint32_t offset, bytes, mbarrier;
  const void *from;
};

/* A barrier at which threads wait. */
struct barrier {
  uint32_t waiting;
  emulator_site site;
  bool vote;
};

/* One block of the cluster. */
struct member {
  uint32_t done;
  barrier own;
};

struct block {
  const std::function<void()> *kernel;
  uint32_t index, blocks, threads; /* the cluster's first block, all blocks, threads of one */
  uint32_t shared_bytes;           /* of one */
  std::vector<member> members;
  fiber scheduler;
  std::vector<thread> all;
  std::vector<emulator_lane> lanes;
  std::map<uint32_t, std::vector<uint32_t>> in_group; /* threads that wait, by the group's size and its first */
  uint64_t clock;
  barrier cluster;
  std::vector<unsigned char> shared; /* of each member after the other, as are the words and the mbarriers' offsets */
  std::vector<word> words;
  std::map<uint32_t, mbarrier> mbarriers; /* by offset */
  std::vector<bulk_copy> bulk_copies;
  uint32_t current;
  bool failed;
  std::string error;
};

extern block now;

thread &self();
uint32_t rank(); /* of the member that runs */
/* What is an offset in the running member's shared memory, in that of all. */
uint32_t absolute(uint32_t offset);
void give_way();
std::string name_site(emulator_site site);
void note_read(uint32_t index, emulator_site site);
void note_write(uint32_t index, emulator_site site);

/* Brings what bulk copies have been asked for. */
void run_bulk_copies();

}  // namespace emulator

#endif
