// Calls and pointers: fib, chase, list, virt.
#include "freestanding.h"

static NOINLINE long fibonacci(long n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

long fib(void *arena)
{
    (void)arena;
    return fibonacci(39);
}

long chase(void *arena)
{
    enum { Count = 1 << 18, Steps = 3000000 };
    struct node {
        struct node *next;
        u64 padding[7]; // one node per cache line, 16 MiB in all
    } *nodes = arena;
    u32 *order = (u32 *)(nodes + Count);
    u64 seed = 2463534242;
    for (u32 i = 0; i < Count; i++) {
        order[i] = i;
    }
    for (u32 i = Count - 1; i > 0; i--) {
        u32 j = (u32)(next_random(&seed) % (i + 1));
        u32 swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (u32 i = 0; i < Count; i++) {
        nodes[order[i]].next = nodes + order[(i + 1) % Count];
    }
    struct node *here = nodes;
    u64 sum = 0;
    for (int i = 0; i < Steps; i++) {
        here = here->next;
        sum += (u64)(here - nodes) & 1023;
    }
    return (long)sum;
}

struct item {
    struct item *next;
    u64 value;
};

static NOINLINE struct item *reverse(struct item *head)
{
    struct item *result = 0;
    while (head) {
        struct item *next = head->next;
        head->next = result;
        result = head;
        head = next;
    }
    return result;
}

static NOINLINE struct item *merge(struct item *a, struct item *b)
{
    struct item *head = 0, **tail = &head;
    while (a && b) {
        struct item **smaller = a->value <= b->value ? &a : &b;
        *tail = *smaller;
        tail = &(*smaller)->next;
        *smaller = (*smaller)->next;
    }
    *tail = a ? a : b;
    return head;
}

static struct item *sort_list(struct item *head)
{
    if (!head || !head->next) {
        return head;
    }
    struct item *slow = head, *fast = head->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    struct item *second = slow->next;
    slow->next = 0;
    return merge(sort_list(head), sort_list(second));
}

long list(void *arena)
{
    enum { Count = 20000, Rounds = 60 };
    struct item *items = arena;
    u64 seed = 7, sum = 0;
    for (int round = 0; round < Rounds; round++) {
        struct item *head = 0;
        for (int i = 0; i < Count; i++) {
            struct item *item = items + (u32)(i * 7919u) % Count;
            item->value = next_random(&seed) >> 40;
            item->next = head;
            head = item;
        }
        head = reverse(sort_list(reverse(head)));
        u64 position = 0;
        for (struct item *item = head; item; item = item->next) {
            sum += item->value * ++position;
        }
    }
    return (long)sum;
}

struct shape;
typedef long (*area_function)(const struct shape *);
struct shape {
    const area_function *methods;
    long a, b;
};

static long square_area(const struct shape *shape) { return shape->a * shape->a; }
static long rectangle_area(const struct shape *shape) { return shape->a * shape->b; }
static long triangle_area(const struct shape *shape) { return shape->a * shape->b / 2; }
static long ring_area(const struct shape *shape) { return 3 * (shape->a * shape->a - shape->b); }

long virt(void *arena)
{
    enum { Count = 1000, Rounds = 100000 };
    // The tables are filled at run time: a constant table of addresses would need relocation.
    area_function *methods = arena;
    methods[0] = square_area;
    methods[1] = rectangle_area;
    methods[2] = triangle_area;
    methods[3] = ring_area;
    struct shape *shapes = (struct shape *)((u8 *)arena + 4096);
    u64 seed = 17;
    for (int i = 0; i < Count; i++) {
        shapes[i].methods = methods + (i * 5 + i / 7) % 4;
        shapes[i].a = (long)(next_random(&seed) & 255);
        shapes[i].b = (long)(next_random(&seed) & 255);
    }
    long sum = 0;
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < Count; i++) {
            sum += shapes[i].methods[0](shapes + i);
        }
        shapes[round % Count].a ^= sum & 3;
    }
    return sum;
}
