/* Devices on emulated GPUs, and cases of the conformance suite on them. A wrong answer fails the test that runs. */
#ifndef TESTS_EMULATOR_EMULATED_H
#define TESTS_EMULATOR_EMULATED_H

#include "kernels/search/device.h"
#include "tests/conformance/trial.h"
#include "tests/emulator/gpu.h"

#define PLENTY ((size_t)1 << 30)

extern const emulated_recipe plenty;

/* Opening alone takes more memory than some recipes have: they have it from then on. */
lk_backend *open_backend(emulated_recipe recipe);
lk_device *open_device(emulated_recipe recipe);

/* Searches for all probes at once and compares with the reference; on a device of its own that has plenty, or on this
 * one. */
lk_search_stats check(const struct conformance_case *c);
lk_search_stats check_on(lk_device *device, const struct conformance_case *c);

#endif
