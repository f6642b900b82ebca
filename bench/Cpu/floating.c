// Floating-point programs: matmul, nbody.
#include "freestanding.h"

long matmul(void *arena)
{
    enum { N = 240, Rounds = 24 };
    double *a = arena, *b = a + N * N, *c = b + N * N;
    for (int i = 0; i < N * N; i++) {
        a[i] = (i % 17) * 0.25;
        b[i] = (i % 13) * 0.5 - 1.0;
    }
    double trace = 0;
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++) {
                    sum += a[i * N + k] * b[k * N + j];
                }
                c[i * N + j] = sum;
            }
        }
        for (int i = 0; i < N; i++) {
            trace += c[i * N + i];
            a[i] += 0.125;
        }
    }
    return (long)(trace * 8);
}

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static NOINLINE void advance(struct body *bodies, int count, double step)
{
    for (int i = 0; i < count; i++) {
        struct body *p = bodies + i;
        for (int j = i + 1; j < count; j++) {
            struct body *q = bodies + j;
            double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
            double square = dx * dx + dy * dy + dz * dz + 0.01;
            double magnitude = step / (square * __builtin_sqrt(square));
            p->vx -= dx * q->mass * magnitude;
            p->vy -= dy * q->mass * magnitude;
            p->vz -= dz * q->mass * magnitude;
            q->vx += dx * p->mass * magnitude;
            q->vy += dy * p->mass * magnitude;
            q->vz += dz * p->mass * magnitude;
        }
    }
    for (int i = 0; i < count; i++) {
        bodies[i].x += step * bodies[i].vx;
        bodies[i].y += step * bodies[i].vy;
        bodies[i].z += step * bodies[i].vz;
    }
}

long nbody(void *arena)
{
    enum { Count = 5, Steps = 2500000 };
    struct body *bodies = arena;
    for (int i = 0; i < Count; i++) {
        bodies[i].x = i * 4.5 + 0.25;
        bodies[i].y = (i * 7 % 5) * 2.0 - 3.0;
        bodies[i].z = (i * 3 % 4) * 0.5;
        bodies[i].vx = 0.1 * i;
        bodies[i].vy = 0.3 - 0.05 * i;
        bodies[i].vz = 0.02 * (i - 2);
        bodies[i].mass = i == 0 ? 40.0 : 0.01 * i;
    }
    for (int step = 0; step < Steps; step++) {
        advance(bodies, Count, 0.001);
    }
    double energy = 0;
    for (int i = 0; i < Count; i++) {
        energy += bodies[i].mass * (bodies[i].vx * bodies[i].vx + bodies[i].vy * bodies[i].vy + bodies[i].vz * bodies[i].vz);
    }
    return (long)(energy * 1e9);
}
