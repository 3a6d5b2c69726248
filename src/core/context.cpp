#include "core/context.h"

#include <cstdint>
#include <cstring>

#ifdef COEV_USE_UCONTEXT

namespace coev {
namespace {

// makecontext passes ints only: two pointers travel as four halves.
void enter(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
  const auto join = [](unsigned high, unsigned low) {
    return (std::uintptr_t{high} << 16 << 16) | low;
  };
  const auto entry = reinterpret_cast<Context::Entry>(join(entry_high, entry_low));
  entry(reinterpret_cast<void*>(join(argument_high, argument_low)));
}

}  // namespace

void Context::prepare(void* low, std::size_t bytes, Entry entry, void* argument) noexcept {
  getcontext(&saved_);
  saved_.uc_stack.ss_sp = low;
  saved_.uc_stack.ss_size = bytes;
  saved_.uc_link = nullptr;
  const auto high_half = [](std::uintptr_t word) {
    return static_cast<unsigned>(word >> 16 >> 16);
  };
  const auto low_half = [](std::uintptr_t word) { return static_cast<unsigned>(word); };
  const auto e = reinterpret_cast<std::uintptr_t>(entry);
  const auto a = reinterpret_cast<std::uintptr_t>(argument);
  makecontext(&saved_, reinterpret_cast<void (*)()>(enter), 4, high_half(e), low_half(e),
              high_half(a), low_half(a));
}

}  // namespace coev

#elif defined(__x86_64__)

// coev_context_start is where a new stack begins: entry in %rbx, its argument
// in %r12. The undefined return address ends backtraces here.
asm(R"(
.text
.globl coev_context_switch
.hidden coev_context_switch
.type coev_context_switch,@function
.p2align 4
coev_context_switch:
  .cfi_startproc
  pushq %rbp
  .cfi_adjust_cfa_offset 8
  pushq %rbx
  .cfi_adjust_cfa_offset 8
  pushq %r12
  .cfi_adjust_cfa_offset 8
  pushq %r13
  .cfi_adjust_cfa_offset 8
  pushq %r14
  .cfi_adjust_cfa_offset 8
  pushq %r15
  .cfi_adjust_cfa_offset 8
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  popq %r15
  .cfi_adjust_cfa_offset -8
  popq %r14
  .cfi_adjust_cfa_offset -8
  popq %r13
  .cfi_adjust_cfa_offset -8
  popq %r12
  .cfi_adjust_cfa_offset -8
  popq %rbx
  .cfi_adjust_cfa_offset -8
  popq %rbp
  .cfi_adjust_cfa_offset -8
  ret
  .cfi_endproc
.size coev_context_switch,.-coev_context_switch

.globl coev_context_start
.hidden coev_context_start
.type coev_context_start,@function
.p2align 4
coev_context_start:
  .cfi_startproc
  .cfi_undefined rip
  .cfi_undefined rbp
  movq %r12, %rdi
  xorl %ebp, %ebp
  call *%rbx
  ud2
  .cfi_endproc
.size coev_context_start,.-coev_context_start
)");

extern "C" void coev_context_start() noexcept;

namespace coev {
namespace {

// What coev_context_switch leaves on a stack, lowest address first.
struct SavedFrame {
  std::uint32_t mxcsr;
  std::uint16_t x87_control_word;
  std::uint16_t padding;
  void* r15;
  void* r14;
  void* r13;
  void* r12;
  void* rbx;
  void* rbp;
  void (*return_address)() noexcept;
};
static_assert(sizeof(SavedFrame) == 64, "the frame the assembly pushes");

}  // namespace

void Context::prepare(void* low, std::size_t bytes, Entry entry, void* argument) noexcept {
  // `ret` must leave the stack pointer 16-byte aligned for coev_context_start.
  auto top = (reinterpret_cast<std::uintptr_t>(low) + bytes) & ~std::uintptr_t{15};
  auto* frame = reinterpret_cast<SavedFrame*>(top - sizeof(SavedFrame));
  std::memset(frame, 0, sizeof *frame);
  asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(frame->mxcsr), "=m"(frame->x87_control_word));
  frame->r12 = argument;
  frame->rbx = reinterpret_cast<void*>(entry);
  frame->return_address = coev_context_start;
  stack_pointer_ = frame;
}

}  // namespace coev

#elif defined(__aarch64__)

// coev_context_start finds the entry in x19 and its argument in x20.
asm(R"(
.text
.globl coev_context_switch
.hidden coev_context_switch
.type coev_context_switch,%function
.p2align 4
coev_context_switch:
  .cfi_startproc
  sub sp, sp, #176
  .cfi_adjust_cfa_offset 176
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mrs x9, fpcr
  str x9, [sp, #160]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldr x9, [sp, #160]
  msr fpcr, x9
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  .cfi_adjust_cfa_offset -176
  ret
  .cfi_endproc
.size coev_context_switch,.-coev_context_switch

.globl coev_context_start
.hidden coev_context_start
.type coev_context_start,%function
.p2align 4
coev_context_start:
  .cfi_startproc
  .cfi_undefined x30
  mov x29, xzr
  mov x30, xzr
  mov x0, x20
  blr x19
  brk #1
  .cfi_endproc
.size coev_context_start,.-coev_context_start
)");

extern "C" void coev_context_start() noexcept;

namespace coev {
namespace {

struct SavedFrame {
  void* x19_to_x28[10];
  void* x29;
  void (*x30)() noexcept;
  std::uint64_t d8_to_d15[8];
  std::uint64_t fpcr;
  std::uint64_t padding;
};
static_assert(sizeof(SavedFrame) == 176, "the frame the assembly pushes");

}  // namespace

void Context::prepare(void* low, std::size_t bytes, Entry entry, void* argument) noexcept {
  auto top = (reinterpret_cast<std::uintptr_t>(low) + bytes) & ~std::uintptr_t{15};
  auto* frame = reinterpret_cast<SavedFrame*>(top - sizeof(SavedFrame));
  std::memset(frame, 0, sizeof *frame);
  asm volatile("mrs %0, fpcr" : "=r"(frame->fpcr));
  frame->x19_to_x28[0] = reinterpret_cast<void*>(entry);
  frame->x19_to_x28[1] = argument;
  frame->x30 = coev_context_start;
  stack_pointer_ = frame;
}

}  // namespace coev

#endif
