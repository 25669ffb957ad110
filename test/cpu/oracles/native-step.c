// Runs one instruction at a time on the processor it is compiled for: the oracle of native-step.ts.
//
// For each u32 on stdin it reads so many `struct given` records from the start of file descriptor 3, and writes a `struct
// found` and the changed bytes of the data page for each from the start of descriptor 4 on; then the u32 to stdout.
// The state is loaded by rt_sigreturn from a frame made here, with TF set; what comes out is the frame of the signal
// that ends the instruction (#DB, or the fault with vector, error code and CR2, which ptrace would not tell). No C
// library and no thread-local storage: an instruction may change any register, the FS base included. The program
// lies far from all addresses that cases use. When a case kills it after all, the caller goes on behind that case.

#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#define CODE 0x10000000ul
#define DATA 0x20000000ul
#define PAGE 4096ul
#define READ_ONLY (DATA + 2 * PAGE)
#define MAX_STEPS 5000
#define PATCHES 6

/** The kernel's signal frame (asm/sigcontext.h, asm-generic/ucontext.h), whose names differ between C libraries. */
struct machine {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2;
  uint8_t *fpstate;
  uint64_t reserved[8];
};
struct context {
  uint64_t flags;
  void *link;
  stack_t stack;
  struct machine machine;
  uint64_t mask;
};
#define CONTEXT_FLAGS 6u  // SS is in the frame and is restored as it is
#define XSTATE_MAGIC 0x46505853u
#define XSTATE_MAGIC_AT 464

enum { ES, CS, SS, DS, FS, GS };

struct patch {
  uint16_t offset, length;
  uint8_t data[28];
};

struct given {
  uint32_t bits, length, offset, flags;
  uint8_t code[16];
  uint64_t gpr[16];
  uint16_t segments[8];
  uint64_t fs_base, gs_base;
  struct patch patches[PATCHES];
  uint8_t fx[512];
};

struct found {
  uint32_t vector, error, steps, flags;
  uint64_t cr2, rip, gpr[16];
  uint16_t segments[8];
  uint64_t fs_base, gs_base;
  uint32_t changed_at, changed;
  uint8_t fx[512];
};

static struct given in;
static struct found out;
static uint8_t base_page[PAGE];
static uint64_t first_rip;
__attribute__((used)) static uint64_t resume_rsp;
static uint8_t signal_stack[65536] __attribute__((aligned(64)));
static uint8_t start_fx[512] __attribute__((aligned(64)));
__attribute__((used)) static struct context frame;
static const stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};

static long call6(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return r;
}
#define call3(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

void *memcpy(void *to, const void *from, unsigned long n) {
  void *r = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
  return r;
}
void *memset(void *to, int c, unsigned long n) {
  void *r = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
  return r;
}

static int transfer(long call, int file, void *at, unsigned long n) {
  for (unsigned long done = 0; done < n;) {
    long r = call3(call, file, (char *)at + done, n - done);
    if (r <= 0) return 0;
    done += r;
  }
  return 1;
}

static void fail(const char *why, long length) {
  call3(SYS_write, 2, why, length);
  call3(SYS_exit_group, 3, 0, 0);
}

/** Restore the callee-saved registers and go on in run_case. */
__attribute__((noreturn)) void resume(void);
__attribute__((naked)) void resume(void) {
  __asm__("mov resume_rsp(%rip),%rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n cld\n ret");
}

/** Load the state in `frame`; comes back through resume(). */
void run_case(void);
__attribute__((naked)) void run_case(void) {
  __asm__(
      "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
      "mov %rsp,resume_rsp(%rip)\n"
      "lea frame(%rip),%rsp\n mov $15,%eax\n syscall\n hlt");
}

__attribute__((used)) void ended(int sig, void *info, struct context *uc) {
  (void)sig;
  (void)info;
  const struct machine *m = &uc->machine;
  out.steps++;
  if (m->trapno == 1 && m->ip == first_rip && out.steps < MAX_STEPS) return;  // a REP that is not over
  out.vector = m->trapno;
  out.error = m->err;
  out.cr2 = m->trapno == 14 ? m->cr2 : 0;
  const uint64_t gpr[16] = {m->ax, m->cx, m->dx, m->bx, m->sp, m->bp, m->si, m->di,
                            m->r8, m->r9, m->r10, m->r11, m->r12, m->r13, m->r14, m->r15};
  memcpy(out.gpr, gpr, sizeof gpr);
  out.rip = m->ip;
  out.flags = m->flags;
  __asm__ volatile("mov %%es,%0\n mov %%ds,%1\n mov %%fs,%2\n mov %%gs,%3"
                   : "=m"(out.segments[ES]), "=m"(out.segments[DS]), "=m"(out.segments[FS]), "=m"(out.segments[GS]));
  out.segments[CS] = m->cs;
  out.segments[SS] = m->ss;
  __asm__ volatile("rdfsbase %0\n rdgsbase %1" : "=r"(out.fs_base), "=r"(out.gs_base));
  const uint8_t *fx = m->fpstate;
  memcpy(out.fx, fx, 464);
  if (*(const uint32_t *)(fx + XSTATE_MAGIC_AT) == XSTATE_MAGIC) {
    // Components in their initial state are not written to the frame.
    uint64_t present = *(const uint64_t *)(fx + 512);
    if (!(present & 1)) {
      memset(out.fx, 0, 24);
      out.fx[0] = 0x7f;
      out.fx[1] = 3;
      memset(out.fx + 32, 0, 128);
    }
    if (!(present & 2)) memset(out.fx + 160, 0, 256);
  }
  resume();
}

/** AC, NT and ID may be set on entry and would stay: cleared before anything unaligned is touched. */
void handler(int, void *, void *);
__attribute__((naked)) void handler(int sig, void *info, void *uc) {
  (void)sig;
  (void)info;
  (void)uc;
  __asm__("push $2\n popfq\n jmp ended");
}
void restorer(void);
__attribute__((naked)) void restorer(void) { __asm__("mov $15,%eax\n syscall"); }

static void load_segments(void) {
  __asm__ volatile("mov %0,%%es\n mov %1,%%ds\n mov %2,%%fs\n mov %3,%%gs"
                   :
                   : "m"(in.segments[ES]), "m"(in.segments[DS]), "m"(in.segments[FS]), "m"(in.segments[GS]));
  if (in.bits == 64) __asm__ volatile("wrfsbase %0\n wrgsbase %1" : : "r"(in.fs_base), "r"(in.gs_base));
}

static void set_up(void) {
  const long fixed = 0x100032;  // private, anonymous, fixed and nothing there yet
  if (call6(SYS_mmap, CODE, PAGE, 7, fixed, -1, 0) != (long)CODE) fail("no code page\n", 13);
  if (call6(SYS_mmap, DATA, PAGE, 3, fixed, -1, 0) != (long)DATA) fail("no data page\n", 13);
  if (call6(SYS_mmap, READ_ONLY, PAGE, 1, fixed, -1, 0) != (long)READ_ONLY) fail("no third page\n", 14);
  (void)*(volatile uint8_t *)READ_ONLY;  // present, so that a write is a protection violation
  uint32_t x = 1;
  for (unsigned long i = 0; i < PAGE; i++) {
    x = x * 1664525u + 1013904223u;
    base_page[i] = x >> 24;
  }
  // The descriptors of LDT_SEGMENTS in machine-tables.ts, in that order.
  const struct user_desc ldt[] = {
      {.entry_number = 0, .base_addr = CODE, .limit = 0xfff, .contents = 2, .useable = 1},
      {.entry_number = 1, .base_addr = DATA, .limit = 0xfff, .useable = 1},
      {.entry_number = 2, .base_addr = DATA, .limit = 0x7ff, .seg_32bit = 1, .useable = 1},
      {.entry_number = 3, .base_addr = DATA, .limit = 0xfff, .seg_32bit = 1, .read_exec_only = 1, .useable = 1},
      {.entry_number = 4, .base_addr = DATA, .limit = 0x7ff, .contents = 1, .useable = 1},
      {.entry_number = 5, .base_addr = CODE, .limit = 0xfff, .seg_32bit = 1, .contents = 2, .read_exec_only = 1, .useable = 1},
      {.entry_number = 6, .base_addr = DATA, .limit = 0xfff, .seg_32bit = 1, .seg_not_present = 1, .useable = 1},
      {.entry_number = 7, .base_addr = CODE, .limit = 0xfff, .seg_32bit = 1, .contents = 3, .seg_not_present = 1, .useable = 1},
      {.entry_number = 8, .base_addr = DATA, .limit = 0x7ff, .seg_32bit = 1, .contents = 1, .useable = 1},
  };
  for (unsigned long i = 0; i < sizeof ldt / sizeof ldt[0]; i++)
    if (call3(SYS_modify_ldt, 0x11, &ldt[i], sizeof ldt[i]) != 0) fail("no LDT\n", 7);
  call3(SYS_sigaltstack, &stack, 0, 0);
  struct {
    void (*handler)(int, void *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } action = {handler, 0x4c000004, restorer, 0};  // SA_NODEFER, SA_ONSTACK, SA_RESTORER, SA_SIGINFO
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (int i = 0; i < 5; i++) call6(SYS_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0);
}

/** Run the case in `in`; 0 when its outcome cannot be written. */
static int do_case(void) {
  memset((void *)CODE, 0xf4, PAGE);  // a case may write there
  memcpy((void *)(CODE + in.offset), in.code, in.length < PAGE - in.offset ? in.length : PAGE - in.offset);
  uint8_t *data = (uint8_t *)DATA;
  memcpy(data, base_page, PAGE);
  for (int i = 0; i < PATCHES; i++) memcpy(data + in.patches[i].offset, in.patches[i].data, in.patches[i].length);
  static uint8_t before[PAGE];
  memcpy(before, data, PAGE);

  memset(&out, 0, sizeof out);
  memset(&frame, 0, sizeof frame);
  struct machine *m = &frame.machine;
  const uint64_t *g = in.gpr;
  m->ax = g[0], m->cx = g[1], m->dx = g[2], m->bx = g[3], m->sp = g[4], m->bp = g[5], m->si = g[6], m->di = g[7];
  m->r8 = g[8], m->r9 = g[9], m->r10 = g[10], m->r11 = g[11], m->r12 = g[12], m->r13 = g[13], m->r14 = g[14];
  m->r15 = g[15];
  first_rip = m->ip = in.offset + (in.segments[CS] & 4 ? 0 : CODE);
  m->flags = in.flags;
  m->cs = in.segments[CS];
  m->ss = in.segments[SS];
  memcpy(start_fx, in.fx, 464);
  m->fpstate = start_fx;
  frame.flags = CONTEXT_FLAGS;
  frame.stack = stack;
  load_segments();
  run_case();

  unsigned long first = 0, last = PAGE;
  while (first < PAGE && data[first] == before[first]) first++;
  while (last > first && data[last - 1] == before[last - 1]) last--;
  out.changed_at = first;
  out.changed = last - first;
  return transfer(SYS_write, 4, &out, sizeof out) && transfer(SYS_write, 4, data + first, last - first);
}

__attribute__((used)) void main_loop(void) {
  uint32_t count;
  set_up();
  while (transfer(SYS_read, 0, &count, sizeof count)) {
    call3(SYS_lseek, 3, 0, 0);
    call3(SYS_lseek, 4, 0, 0);
    for (uint32_t i = 0; i < count; i++)
      if (!transfer(SYS_read, 3, &in, sizeof in) || !do_case()) call3(SYS_exit_group, 4, 0, 0);
    if (!transfer(SYS_write, 1, &count, sizeof count)) break;
  }
  call3(SYS_exit_group, 0, 0, 0);
}

__attribute__((naked, used)) void _start(void) { __asm__("and $-16,%rsp\n call main_loop\n hlt"); }
