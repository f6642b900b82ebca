/* What a protected guest does, and what its clients on the network do. One static program for both sides. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, LINE = 16, PATIENCE_MS = 100 };

static void fail(const char *what)
{
    printf("FTPAIR-FAILED %s (%s)\n", what, strerror(errno));
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_ms(double ms)
{
    if (ms <= 0)
        return;
    struct timespec t = {(time_t)(ms / 1e3), (long)((ms - 1e3 * (double)(time_t)(ms / 1e3)) * 1e6)};
    nanosleep(&t, NULL);
}

/* Guest: number i goes to sector i modulo slots, with all 32 lines of the sector the same, and is printed once it is on the disk. */
static void count(const char *device, unsigned slots, double period_ms)
{
    int disk = open(device, O_WRONLY | O_DIRECT | O_SYNC);
    if (disk < 0)
        fail(device);
    void *memory;
    if (posix_memalign(&memory, 4096, SECTOR))
        fail("memory");
    char *sector = memory;
    for (unsigned long i = 1;; i++) {
        char line[LINE + 1];
        snprintf(line, sizeof line, "%015lu\n", i);
        for (int at = 0; at < SECTOR; at += LINE)
            memcpy(sector + at, line, LINE);
        if (pwrite(disk, sector, SECTOR, (off_t)(i % slots) * SECTOR) != SECTOR)
            fail("write");
        printf("COUNT %lu\n", i);
        sleep_ms(period_ms);
    }
}

/* Guest: computes for a while, so that a replay has something to do. */
static void burn(double seconds)
{
    volatile uint64_t sum = 1;
    for (double end = now_ms() + seconds * 1e3; now_ms() < end;)
        for (int i = 0; i < 100000; i++)
            sum = sum * 6364136223846793005ull + 1;
}

static int dial(const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || !inet_aton(address, &to.sin_addr) || connect(s, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    int on = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/* Reads until an empty line has come; a body of the given length may follow it. Zero when the connection ends before. */
static int read_message(int s, size_t body)
{
    char text[2048];
    size_t have = 0;
    while (have < sizeof text - 1) {
        ssize_t more = read(s, text + have, sizeof text - 1 - have);
        if (more <= 0)
            return 0;
        text[have += (size_t)more] = 0;
        char *end = strstr(text, "\r\n\r\n");
        if (end && (size_t)(text + have - (end + 4)) >= body)
            return 1;
    }
    fail("message too long");
    return 0;
}

static void *answer_client(void *argument)
{
    int s = (int)(intptr_t)argument, on = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (read_message(s, 0))
        if (send(s, answer, sizeof answer - 1, MSG_NOSIGNAL) != sizeof answer - 1)
            break;
    close(s);
    return NULL;
}

/* Guest: answers each HTTP request with "ok", and keeps the connection. */
static void serve(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, 16))
        fail("listen");
    for (;;) {
        int client = accept(s, NULL, NULL);
        pthread_t thread;
        if (client < 0 || pthread_create(&thread, NULL, answer_client, (void *)(intptr_t)client))
            fail("accept");
        pthread_detach(thread);
    }
}

/* Client: one request after the other on one connection; prints when each was sent and answered. */
static void get(const char *address, int port, double interval_ms)
{
    static const char request[] = "GET /ok HTTP/1.1\r\nHost: guest\r\n\r\n";
    int s = dial(address, port);
    for (;;) {
        double sent = now_ms();
        if (write(s, request, sizeof request - 1) != sizeof request - 1)
            fail("write");
        if (!read_message(s, 3))
            fail("connection closed");
        printf("REPLY %.3f %.3f\n", sent, now_ms());
        sleep_ms(sent + interval_ms - now_ms());
    }
}

/* Waits until the socket is ready; no longer than a client has patience. */
static int ready(int s, short events)
{
    struct pollfd one = {s, events, 0};
    return poll(&one, 1, PATIENCE_MS) == 1 && !(one.revents & (POLLERR | POLLHUP));
}

static int fetch_once(const struct sockaddr_in *to)
{
    static const char request[] = "GET /ok HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n";
    char text[256];
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s < 0)
        fail("socket");
    struct linger abandon = {1, 0}; /* closed at once: ten thousand ports in TIME_WAIT would be too many */
    setsockopt(s, SOL_SOCKET, SO_LINGER, &abandon, sizeof abandon);
    connect(s, (const struct sockaddr *)to, sizeof *to);
    int done = ready(s, POLLOUT) && write(s, request, sizeof request - 1) == sizeof request - 1 && ready(s, POLLIN) && read(s, text, sizeof text) > 0;
    close(s);
    return done;
}

/* Client: each request on a connection of its own, given up and begun anew when it takes too long; prints when each was begun and answered. */
static void fetch(const char *address, int port, double interval_ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (!inet_aton(address, &to.sin_addr))
        fail("address");
    for (;;) {
        double sent = now_ms();
        if (fetch_once(&to))
            printf("REPLY %.3f %.3f\n", sent, now_ms());
        sleep_ms(sent + interval_ms - now_ms());
    }
}

static uint16_t checksum(const void *data, size_t bytes)
{
    const uint16_t *words = data;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes / 2; i++)
        sum += words[i];
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~(sum + (sum >> 16));
}

/* Client: an echo request each interval, whatever comes back; prints when each answered one was sent and when the answer came. */
static void ping(const char *address, double interval_ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (s < 0 || !inet_aton(address, &to.sin_addr))
        fail("socket");
    static double sent[65536];
    uint16_t sequence = 0, id = (uint16_t)getpid();
    for (double next = now_ms();; next += interval_ms) {
        struct icmphdr echo = {.type = ICMP_ECHO};
        echo.un.echo.id = id;
        echo.un.echo.sequence = ++sequence;
        echo.checksum = checksum(&echo, sizeof echo);
        sent[sequence] = now_ms();
        sendto(s, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to); /* while nobody answers ARP this fails: that is the outage */
        for (double left; (left = next + interval_ms - now_ms()) > 0;) {
            struct pollfd ready = {s, POLLIN, 0};
            struct timespec wait = {0, (long)(left * 1e6)};
            if (left >= 1e3 || ppoll(&ready, 1, &wait, NULL) <= 0)
                break;
            unsigned char packet[256];
            ssize_t bytes = recv(s, packet, sizeof packet, MSG_DONTWAIT);
            struct icmphdr *reply = (struct icmphdr *)(packet + 4 * (packet[0] & 15));
            if (bytes >= 28 && reply->type == ICMP_ECHOREPLY && reply->un.echo.id == id)
                printf("REPLY %.3f %.3f\n", sent[reply->un.echo.sequence], now_ms());
        }
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 4096);
    const char *verb = argc > 1 ? argv[1] : "";
    if (argc == 5 && !strcmp(verb, "count"))
        count(argv[2], (unsigned)atoi(argv[3]), atof(argv[4]));
    else if (argc == 3 && !strcmp(verb, "burn"))
        burn(atof(argv[2]));
    else if (argc == 3 && !strcmp(verb, "serve"))
        serve(atoi(argv[2]));
    else if (argc == 5 && !strcmp(verb, "get"))
        get(argv[2], atoi(argv[3]), atof(argv[4]));
    else if (argc == 5 && !strcmp(verb, "fetch"))
        fetch(argv[2], atoi(argv[3]), atof(argv[4]));
    else if (argc == 4 && !strcmp(verb, "ping"))
        ping(argv[2], atof(argv[3]));
    else {
        printf("ftpair: count DEVICE SLOTS MS | burn SECONDS | serve PORT | get|fetch ADDRESS PORT MS | ping ADDRESS MS\n");
        return 2;
    }
    return 0;
}
