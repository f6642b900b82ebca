/* Faults as signals with their codes, alternate stacks, timers that interrupt arithmetic, single-stepping by a debugger. */
#define _GNU_SOURCE
#include "ftproof.h"

#include <errno.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int seen_signal, seen_code, on_alternate;
static volatile long seen_offset, steps, ticks;
static char *area;
static char alternate[1 << 16];

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    char here;
    on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
    seen_signal = signal;
    seen_code = info->si_code;
    seen_offset = signal == SIGSEGV || signal == SIGBUS ? (long)((char *)info->si_addr - area) : 0;
    siglongjmp(back, 1);
}

static void on_step(int signal) { (void)signal; steps++; }
static void on_tick(int signal) { (void)signal; ticks++; }

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    MUST(sigaction(signal, &action, NULL) == 0);
}

#define EXPECT(name, ...)                                                                                       \
    do {                                                                                                        \
        seen_signal = 0;                                                                                        \
        if (sigsetjmp(back, 1) == 0) {                                                                          \
            __VA_ARGS__;                                                                                        \
        }                                                                                                       \
        printf("%s: signal %d code %d offset %ld alternate stack %d\n", name, seen_signal, seen_code, seen_offset, on_alternate); \
    } while (0)

static void divide(int dividend_high, int divisor)
{
    int quotient, rest;
    __asm__ volatile("idivl %4" : "=a"(quotient), "=d"(rest) : "0"(1), "1"(dividend_high), "r"(divisor));
}

static void faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    MUST(sigaltstack(&stack, NULL) == 0);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        handle(signals[i], on_fault);
    int file = memfd_create("short", 0);
    MUST(file >= 0 && ftruncate(file, 4096) == 0);
    area = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    MUST(area != MAP_FAILED && mprotect(area + 4096, 4096, PROT_NONE) == 0);
    area[0] = (char)0xc3;
    volatile char *p = area;
    EXPECT("read of a forbidden page", (void)p[4096 + 5]);
    EXPECT("write across into it", *(volatile long *)(p + 4096 - 3) = 1);
    EXPECT("read past the file", (void)p[2 * 4096 + 1]);
    EXPECT("execution of data", ((void (*)(void))area)());
    area = NULL;
    EXPECT("address that is not canonical", (void)*(volatile char *)0x8000000000000000ull);
    EXPECT("division by zero", divide(0, 0));
    EXPECT("quotient too large", divide(5, 1));
    EXPECT("ud2", __asm__ volatile("ud2"));
    EXPECT("int3", __asm__ volatile("int3"));
    EXPECT("hlt", __asm__ volatile("hlt"));
    EXPECT("in", __asm__ volatile("inb $0x70, %%al" ::: "eax"));
    EXPECT("rdmsr", __asm__ volatile("rdmsr" ::"c"(0x10) : "eax", "edx"));
    EXPECT("movaps at an odd address", __asm__ volatile("movaps %0, %%xmm0" ::"m"(alternate[1]) : "xmm0"));
    volatile double zero = 0, one = 1, r;
    volatile long double lzero = 0, lone = 1, lr;
    /* The handler's jump back leaves the masks of the handler, so each case sets its own. */
    EXPECT("unmasked SSE division", feenableexcept(FE_DIVBYZERO); r = one / zero);
    EXPECT("unmasked SSE invalid", feenableexcept(FE_INVALID); r = zero / zero);
    EXPECT("unmasked x87 division", feenableexcept(FE_DIVBYZERO); lr = lone / lzero; __asm__ volatile("fwait"));
    fesetenv(FE_DFL_ENV);
    r = one / zero;
    lr = lone / lzero;
    printf("masked again: %g %Lg\n", r, lr);
    printf("page after it all: %d\n", munmap((void *)p, 4 * 4096));
    close(file);
}

/* The trap flag, set by the program itself: one SIGTRAP for each instruction. */
static void single_steps(void)
{
    struct sigaction action = {.sa_handler = on_step};
    MUST(sigaction(SIGTRAP, &action, NULL) == 0);
    steps = 0;
    int count = 100;
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n"
                     "1:\taddl $-1, %0\n\tjnz 1b\n\tnop\n\tcpuid\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tnop"
                     : "+r"(count) : "a"(0) : "rbx", "rcx", "rdx", "memory", "cc");
    printf("trap flag: %ld steps\n", steps);
}

/* A debugger steps a child through a rep string instruction and a system call, and reads and writes its registers. */
static void debugger(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        static char from[40], to[40];
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        long number = 39, id;
        __asm__ volatile("int3\n\trep movsb" ::"S"(from), "D"(to), "c"(40) : "memory");
        __asm__ volatile("syscall\n\tint3" : "=a"(id) : "0"(number) : "rcx", "r11", "memory");
        _exit(id == 4321 ? 7 : 8);
    }
    int status;
    struct user_regs_struct registers;
    MUST(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    MUST(ptrace(PTRACE_CONT, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WSTOPSIG(status) == SIGTRAP);
    long stepped = 0;
    unsigned long rcx = 0;
    do {
        MUST(ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WSTOPSIG(status) == SIGTRAP);
        MUST(ptrace(PTRACE_GETREGS, child, 0, &registers) == 0);
        stepped++;
        rcx = registers.rcx;
    } while (rcx > 0 && stepped < 100);
    printf("debugger: %ld steps through rep movsb of 40\n", stepped);
    MUST(ptrace(PTRACE_CONT, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WSTOPSIG(status) == SIGTRAP);
    MUST(ptrace(PTRACE_GETREGS, child, 0, &registers) == 0);
    printf("debugger: getpid returned the child's number: %d\n", (pid_t)registers.rax == child);
    registers.rax = 4321;
    MUST(ptrace(PTRACE_SETREGS, child, 0, &registers) == 0);
    MUST(ptrace(PTRACE_CONT, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
    printf("debugger: child saw what was written: %d\n", WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* Timer signals while SSE and x87 registers are full: what comes out must be what comes out undisturbed. */
static void timers(void)
{
    struct sigaction action = {.sa_handler = on_tick};
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval every = {.it_interval = {.tv_usec = 2000}, .it_value = {.tv_usec = 2000}}, never = {0};
    uint64_t state = 23, sum = FOLD_START;
    double d = 1;
    long double l = 1;
    ticks = 0;
    MUST(setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; i < 5000000 || (ticks < 40 && i < 2000000000); i++) {
        if (i < 5000000) {
            uint64_t r = next_random(&state);
            d = d * 0.999999 + (double)(r >> 40);
            l = l * 0.9999999L + (long double)(r & 0xffff);
        }
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    sum = fold(fold(sum, &d, sizeof d), &l, 10);
    printf("timer: at least 40 signals %d, result %016llx\n", ticks >= 40, (unsigned long long)sum);
}

static void storm(void)
{
    sigset_t usr1, old;
    struct sigaction action = {.sa_handler = on_tick};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &usr1, &old) == 0);
    ticks = 0;
    fflush(stdout);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < 5000; i++) {
            if (kill(parent, SIGUSR1) != 0)
                _exit(1);
            sigsuspend(&old);
        }
        _exit(ticks == 5000 ? 0 : 2);
    }
    for (int i = 0; i < 5000; i++) {
        sigsuspend(&old);
        kill(child, SIGUSR1);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child);
    MUST(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    printf("signal ping-pong: %ld there, child's status %x\n", ticks, status);
}

void prove_signals(void)
{
    faults();
    single_steps();
    debugger();
    timers();
    storm();
}
