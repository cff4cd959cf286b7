#include "tests/emulator/fiber.h"

#include <cstdint>
#include <cstring>

static const size_t stack_bytes = 64 << 10;

#ifdef __x86_64__
/* Keeps what the calling convention says a call keeps. swapcontext does the same with a system call for the signal
 * mask, sixty times dearer; a block of 256 threads switches millions of times. */
asm(R"(
.text
.type fiber_swap, @function
fiber_swap:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fiber_swap, .-fiber_swap
)");
extern "C" void fiber_swap(void **from, void *to);

void fiber_prepare(fiber &made, void (*entry)()) {
  if (!made.stack) made.stack.reset(new char[stack_bytes]);
  uintptr_t top = ((uintptr_t)made.stack.get() + stack_bytes) & ~(uintptr_t)15;
  /* Six registers, the entry's address, and a return address that is never used: a function begins 8 bytes off a
   * multiple of 16. */
  void **frame = (void **)top - 8;
  memset(frame, 0, 8 * sizeof *frame);
  frame[6] = (void *)entry;
  made.context = frame;
}

void fiber_switch(fiber &from, fiber &to) { fiber_swap(&from.context, to.context); }
#else
#include <ucontext.h>

static ucontext_t *context_of(fiber &f) {
  if (f.context == nullptr) f.context = new ucontext_t();
  return (ucontext_t *)f.context;
}

void fiber_prepare(fiber &made, void (*entry)()) {
  if (!made.stack) made.stack.reset(new char[stack_bytes]);
  ucontext_t *context = context_of(made);
  getcontext(context);
  context->uc_stack.ss_sp = made.stack.get();
  context->uc_stack.ss_size = stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}

void fiber_switch(fiber &from, fiber &to) { swapcontext(context_of(from), context_of(to)); }
#endif
