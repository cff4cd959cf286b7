/* The block that the emulator runs, for its parts: what all GPUs have (emulator.cc) and what Hopper adds (hopper.cc).
 */
#ifndef TESTS_EMULATOR_BLOCK_H
#define TESTS_EMULATOR_BLOCK_H

#include <deque>
#include <map>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/fiber.h"

namespace emulator {

enum state { RUNS, AT_BARRIER, IN_GROUP, AT_GATE, DONE };

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
  uint64_t acquired;                    /* the last barrier or gate that it passed */
  std::vector<copy> open;               /* not yet committed */
  std::deque<std::vector<copy>> groups; /* oldest first */
  uint32_t gate;                        /* that it waits at */
  uint32_t gate_parity;
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

struct gate {
  uint32_t count, left, phase;
  int64_t bytes; /* announced and not yet there */
  uint64_t passed;
};

struct bulk_copy {
  uint32_t offset, bytes, gate;
  const void *from;
};

struct block {
  const std::function<void()> *kernel;
  uint32_t index, blocks, threads;
  fiber scheduler;
  std::vector<thread> all;
  std::vector<emulator_lane> lanes;
  std::map<uint32_t, std::vector<uint32_t>> in_group; /* threads that wait, by the group's size and its first */
  uint32_t at_barrier, done;
  uint64_t clock;
  emulator_site barrier; /* of those that wait */
  bool vote;
  std::vector<unsigned char> shared;
  std::vector<word> words;
  std::map<uint32_t, gate> gates; /* by offset */
  std::vector<bulk_copy> bulk_copies;
  uint32_t current;
  bool failed;
  std::string error;
};

extern block now;

thread &self();
void give_way();
std::string name_site(emulator_site site);
void note_read(uint32_t index, emulator_site site);
void note_write(uint32_t index, emulator_site site);

/* Brings what bulk copies have been asked for. */
void run_bulk_copies();

}  // namespace emulator

#endif
