/* Fibers: threads of one block that take turns on one processor. */
#ifndef TESTS_EMULATOR_FIBER_H
#define TESTS_EMULATOR_FIBER_H

#include <cstddef>
#include <memory>

struct fiber {
  void *context = nullptr; /* where it goes on; on x86-64 its stack pointer */
  std::unique_ptr<char[]> stack;
};

/* Makes the fiber begin with `entry`, which must never return. Its stack is kept from one use to the next. */
void fiber_prepare(fiber &made, void (*entry)());

/* Goes on with `to`; returns when something goes on with `from`. */
void fiber_switch(fiber &from, fiber &to);

#endif
