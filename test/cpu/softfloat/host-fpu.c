/*
 * Runs single x87 and SSE instructions of the host on operands from standard input and writes what they left behind.
 * Input record, 48 bytes: u32 operation, u32 control (x87 control word, or MXCSR), a (16 bytes), b (16), u64 immediate.
 * Output record, 48 bytes: u32 status (x87 status word or MXCSR flags; bit 31: SIGFPE), u32 flags (EFLAGS or integer),
 * r (16 bytes), s (16), u64 reserved. Memory results start as a fixed pattern, so that "not written" is visible.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <emmintrin.h>

struct in { uint32_t op, control; uint8_t a[16], b[16]; uint64_t imm; };
struct out { uint32_t status, flags; uint8_t r[16], s[16]; uint64_t pad; };

static sigjmp_buf escape;
static volatile uint32_t trapped_mxcsr;

static void on_fpe(int sig, siginfo_t *info, void *context) {
  (void)sig; (void)info;
  trapped_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(escape, 1);
}

static const uint16_t DEFAULT_CW = 0x37f;

/* ST(0) = a, ST(1) = b; then the instruction under the record's control word. */
#define X87_BEGIN \
  __asm__ volatile("fninit\n\tfldt %0\n\tfldt %1\n\tfldcw %2" : : "m"(*(char(*)[10])i->b), "m"(*(char(*)[10])i->a), "m"(cw) : "memory")
#define X87_END \
  __asm__ volatile("fnstsw %0\n\tfnclex\n\tfldcw %1" : "=m"(sw), "+m"(default_cw) : : "memory")
#define X87_POP(p) __asm__ volatile("fstpt %0" : "=m"(*(char(*)[10])(p)) : : "memory")

#define X87(n, text) case n: X87_BEGIN; __asm__ volatile(text ::: "memory", "cc"); X87_END; \
  X87_POP(o->r); X87_POP(o->s); break;
/* Instructions that push: the two top registers. */
#define X87_PUSH(n, text) X87(n, text)
#define X87_MEM(n, text) case n: X87_BEGIN; \
  __asm__ volatile(text : : "m"(*(char(*)[16])i->b) : "memory", "cc"); X87_END; X87_POP(o->r); X87_POP(o->s); break;
#define X87_STORE(n, text) case n: X87_BEGIN; memset(o->r, 0xa5, 16); \
  __asm__ volatile(text : "+m"(*(char(*)[16])o->r) : : "memory", "cc"); X87_END; __asm__ volatile("fninit"); break;
#define X87_FLAGS(n, text) case n: X87_BEGIN; __asm__ volatile(text "\n\tpushfq\n\tpop %0" : "=r"(eflags) : : "memory", "cc"); \
  X87_END; o->flags = (uint32_t)eflags & 0x45; __asm__ volatile("fninit"); break;

#define SSE2OP(n, text) case n: __asm__ volatile("ldmxcsr %2\n\t" text " %1, %0" : "+x"(a) : "x"(b), "m"(mxcsr) : "memory"); \
  __asm__ volatile("stmxcsr %0" : "=m"(after), "+x"(a)); break;
#define SSEIMM(n, text) case n: __asm__ volatile("ldmxcsr %2\n\t" text : "+x"(a) : "x"(b), "m"(mxcsr) : "memory"); \
  __asm__ volatile("stmxcsr %0" : "=m"(after), "+x"(a)); break;
#define SSEFLAGS(n, text) case n: __asm__ volatile("ldmxcsr %3\n\t" text " %2, %1\n\tpushfq\n\tpop %0" : "=r"(eflags) \
  : "x"(a), "x"(b), "m"(mxcsr) : "memory", "cc"); __asm__ volatile("stmxcsr %0" : "=m"(after)); o->flags = (uint32_t)eflags & 0x8d5; break;
#define SSEFROM(n, text) case n: __asm__ volatile("ldmxcsr %2\n\t" text : "+x"(a) : "r"(integer), "m"(mxcsr) : "memory"); \
  __asm__ volatile("stmxcsr %0" : "=m"(after), "+x"(a)); break;
#define SSETO(n, text) case n: __asm__ volatile("ldmxcsr %2\n\t" text : "=r"(integer) : "x"(b), "m"(mxcsr) : "memory"); \
  __asm__ volatile("stmxcsr %0" : "=m"(after)); memcpy(&a, &integer, 8); break;

static void x87(const struct in *i, struct out *o) {
  uint16_t cw = (uint16_t)i->control, sw = 0, default_cw = DEFAULT_CW;
  uint64_t eflags = 0;
  switch (i->op) {
    X87(1, "fadd %%st(1), %%st") X87(2, "fsub %%st(1), %%st") X87(3, "fmul %%st(1), %%st") X87(4, "fdiv %%st(1), %%st")
    X87(5, "fsqrt") X87(6, "frndint") X87(7, "fscale") X87(8, "fprem") X87(9, "fprem1")
    X87_PUSH(10, "fxtract") X87(11, "f2xm1") X87(12, "fyl2x") X87(13, "fyl2xp1") X87_PUSH(14, "fptan")
    X87(15, "fpatan") X87(16, "fsin") X87(17, "fcos") X87_PUSH(18, "fsincos")
    X87(19, "fcom") X87(20, "fucom") X87(21, "fxam") X87(22, "fsubr %%st(1), %%st") X87(23, "fdivr %%st(1), %%st")
    X87_MEM(30, "fadds %0") X87_MEM(31, "faddl %0") X87_MEM(32, "fmuls %0") X87_MEM(33, "fmull %0")
    X87_MEM(34, "fiadds %0") X87_MEM(35, "fiaddl %0") X87_MEM(36, "fcoms %0") X87_MEM(37, "fcoml %0")
    X87_MEM(38, "fdivs %0") X87_MEM(39, "fdivl %0") X87_MEM(26, "ficoms %0") X87_MEM(27, "ficoml %0")
    X87_MEM(28, "fidivl %0") X87_MEM(29, "fsubrl %0")
    X87_MEM(40, "flds %0") X87_MEM(41, "fldl %0") X87_MEM(42, "filds %0") X87_MEM(43, "fildl %0")
    X87_MEM(44, "fildq %0") X87_MEM(45, "fbld %0")
    X87_STORE(50, "fstps %0") X87_STORE(51, "fstpl %0") X87_STORE(52, "fistps %0") X87_STORE(53, "fistpl %0")
    X87_STORE(54, "fistpq %0") X87_STORE(55, "fisttps %0") X87_STORE(56, "fisttpl %0") X87_STORE(57, "fisttpq %0")
    X87_STORE(58, "fbstp %0")
    X87_FLAGS(60, "fcomi %%st(1), %%st") X87_FLAGS(61, "fucomi %%st(1), %%st")
    X87(70, "fld1") X87(71, "fldl2t") X87(72, "fldl2e") X87(73, "fldpi") X87(74, "fldlg2") X87(75, "fldln2") X87(76, "fldz")
  }
  o->status = sw;
}

static void sse(const struct in *i, struct out *o) {
  uint32_t mxcsr = i->control, after = 0, normal = 0x1f80;
  uint64_t eflags = 0, integer;
  __m128i a, b;
  memcpy(&a, i->a, 16);
  memcpy(&b, i->b, 16);
  memcpy(&integer, i->b, 8);
  if (sigsetjmp(escape, 0)) {
    __asm__ volatile("ldmxcsr %0" : : "m"(normal));
    o->status = 0x80000000u | (trapped_mxcsr & 0x3f);
    return;
  }
  switch (i->op) {
    SSE2OP(101, "addss") SSE2OP(102, "subss") SSE2OP(103, "mulss") SSE2OP(104, "divss") SSE2OP(105, "sqrtss")
    SSE2OP(106, "minss") SSE2OP(107, "maxss") SSEFLAGS(108, "comiss") SSEFLAGS(109, "ucomiss")
    SSEIMM(110, "cmpss $0, %1, %0") SSEIMM(111, "cmpss $1, %1, %0") SSEIMM(112, "cmpss $2, %1, %0")
    SSEIMM(113, "cmpss $3, %1, %0") SSEIMM(114, "cmpss $4, %1, %0") SSEIMM(115, "cmpss $5, %1, %0")
    SSEIMM(116, "cmpss $6, %1, %0") SSEIMM(117, "cmpss $7, %1, %0")
    SSETO(118, "cvtss2si %1, %k0") SSETO(119, "cvtss2si %1, %q0") SSETO(120, "cvttss2si %1, %k0")
    SSETO(121, "cvttss2si %1, %q0") SSEFROM(122, "cvtsi2ssl %k1, %0") SSEFROM(123, "cvtsi2ssq %q1, %0")
    SSE2OP(124, "cvtss2sd")
    SSEIMM(125, "roundss $0, %1, %0") SSEIMM(126, "roundss $1, %1, %0") SSEIMM(127, "roundss $2, %1, %0")
    SSEIMM(128, "roundss $3, %1, %0") SSEIMM(129, "roundss $4, %1, %0") SSEIMM(130, "roundss $8, %1, %0")
    SSEIMM(131, "roundss $12, %1, %0") SSEIMM(132, "dpps $0xf1, %1, %0") SSEIMM(133, "dpps $0xbf, %1, %0")
    SSE2OP(134, "rcpss") SSE2OP(135, "rsqrtss") SSE2OP(136, "addps") SSE2OP(137, "divps")
    SSE2OP(138, "cvtps2dq") SSE2OP(139, "cvtdq2ps") SSE2OP(140, "sqrtps")
    SSE2OP(201, "addsd") SSE2OP(202, "subsd") SSE2OP(203, "mulsd") SSE2OP(204, "divsd") SSE2OP(205, "sqrtsd")
    SSE2OP(206, "minsd") SSE2OP(207, "maxsd") SSEFLAGS(208, "comisd") SSEFLAGS(209, "ucomisd")
    SSEIMM(210, "cmpsd $0, %1, %0") SSEIMM(211, "cmpsd $1, %1, %0") SSEIMM(212, "cmpsd $2, %1, %0")
    SSEIMM(213, "cmpsd $3, %1, %0") SSEIMM(214, "cmpsd $4, %1, %0") SSEIMM(215, "cmpsd $5, %1, %0")
    SSEIMM(216, "cmpsd $6, %1, %0") SSEIMM(217, "cmpsd $7, %1, %0")
    SSETO(218, "cvtsd2si %1, %k0") SSETO(219, "cvtsd2si %1, %q0") SSETO(220, "cvttsd2si %1, %k0")
    SSETO(221, "cvttsd2si %1, %q0") SSEFROM(222, "cvtsi2sdl %k1, %0") SSEFROM(223, "cvtsi2sdq %q1, %0")
    SSE2OP(224, "cvtsd2ss")
    SSEIMM(225, "roundsd $0, %1, %0") SSEIMM(226, "roundsd $1, %1, %0") SSEIMM(227, "roundsd $2, %1, %0")
    SSEIMM(228, "roundsd $3, %1, %0") SSEIMM(229, "roundsd $4, %1, %0") SSEIMM(230, "roundsd $8, %1, %0")
    SSEIMM(231, "roundsd $12, %1, %0") SSEIMM(232, "dppd $0x31, %1, %0")
  }
  __asm__ volatile("ldmxcsr %0" : : "m"(normal));
  o->status = after & 0x3f;
  memcpy(o->r, &a, 16);
}

int main(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fpe;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, 0);
  static struct in i;
  static struct out o;
  while (fread(&i, sizeof i, 1, stdin) == 1) {
    memset(&o, 0, sizeof o);
    if (i.op < 100) x87(&i, &o);
    else sse(&i, &o);
    fwrite(&o, sizeof o, 1, stdout);
  }
  return 0;
}
