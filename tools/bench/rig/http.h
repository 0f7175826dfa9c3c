/* What both halves of the rig share: one HTTP/1.1 message read as its bytes come, the clock, and stamps.
 *
 * A stamp is `@` and 19 digits: CLOCK_MONOTONIC in ns when the upstream sent it. It stands in the text of a streamed
 * event, so that whoever reads the event knows how long it was on its way.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define READ_SIZE 262144
#define STAMP_SIGN '@'
#define STAMP_DIGITS 19
#define SECOND_NS 1000000000LL

enum phase { HEAD, FIXED, CHUNK_SIZE, CHUNK_DATA, CHUNK_CRLF, TRAILER, WHOLE };

struct message {
    enum phase phase;
    int head_length;
    long left; /* FIXED, CHUNK_DATA, CHUNK_CRLF: bytes; CHUNK_SIZE: the size so far; TRAILER: characters of the line */
    char head[HEAD_MAX];
};

/* Takes a piece of a body; anything but 0 stops the reading. */
typedef int (*body_fn)(void *owner, const char *data, long length);

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND_NS + at.tv_nsec;
}

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* The bytes of a file, with a closing zero that is not counted. */
static char *read_file(const char *path, long *length) {
    FILE *file = fopen(path, "rb");
    if (!file) die("cannot read %s", path);
    fseek(file, 0, SEEK_END);
    *length = ftell(file);
    rewind(file);
    char *data = malloc(*length + 1);
    if (!data || fread(data, 1, *length, file) != (size_t)*length) die("cannot read %s", path);
    fclose(file);
    data[*length] = 0;
    return data;
}

/* Wakes epoll at `at_ns`, without the 50 us of slack that its own time-out has. */
static void set_timer(int timer, int64_t at_ns) {
    struct itimerspec when = {{0, 0}, {at_ns / SECOND_NS, at_ns % SECOND_NS}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void message_reset(struct message *m) {
    m->phase = HEAD;
    m->head_length = 0;
    m->left = 0;
}

/* Looks up how the body is framed; a message that says nothing has none. */
static void begin_body(struct message *m) {
    char *length = strcasestr(m->head, "\r\ncontent-length:");
    m->left = 0;
    if (strcasestr(m->head, "\r\ntransfer-encoding: chunked")) {
        m->phase = CHUNK_SIZE;
        return;
    }
    if (length) m->left = strtol(length + 17, NULL, 10);
    m->phase = m->left > 0 ? FIXED : WHOLE;
}

/* Bytes taken into the head, up to its end; -1 when it is too long. */
static long read_head(struct message *m, const char *data, long n) {
    int had = m->head_length, from = had > 3 ? had - 3 : 0;
    long room = HEAD_MAX - 1 - had, taken = n < room ? n : room;
    memcpy(m->head + had, data, taken);
    char *end = memmem(m->head + from, had + taken - from, "\r\n\r\n", 4);
    if (!end && taken == room) return -1;
    m->head_length = end ? (int)(end + 4 - m->head) : had + (int)taken;
    m->head[m->head_length] = 0;
    if (end) begin_body(m);
    return m->head_length - had;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a chunk's size line, or of the lines after the last chunk; -1 when it cannot stand there. */
static int read_line_byte(struct message *m, char c) {
    if (m->phase == CHUNK_SIZE) {
        int digit = hex_digit(c);
        if (digit >= 0) m->left = m->left * 16 + digit;
        else if (c == '\n') m->phase = m->left ? CHUNK_DATA : TRAILER;
        else if (c != '\r') return -1;
    } else if (c == '\n') {
        if (!m->left) m->phase = WHOLE;
        m->left = 0;
    } else if (c != '\r') {
        m->left++;
    }
    return 0;
}

/* Reads until the message is WHOLE or the data ends. Returns the bytes taken, or -1: malformed, or refused by `body`. */
static long message_read(struct message *m, const char *data, long n, body_fn body, void *owner) {
    long at = 0;
    while (at < n && m->phase != WHOLE) {
        long some = n - at < m->left ? n - at : m->left;
        switch (m->phase) {
        case HEAD:
            if ((some = read_head(m, data + at, n - at)) < 0) return -1;
            break;
        case FIXED:
        case CHUNK_DATA:
            if (body(owner, data + at, some)) return -1;
            m->left -= some;
            if (!m->left && m->phase == FIXED) m->phase = WHOLE;
            else if (!m->left) m->phase = CHUNK_CRLF, m->left = 2;
            break;
        case CHUNK_CRLF:
            if (data[at] != (m->left == 2 ? '\r' : '\n')) return -1;
            some = 1;
            if (!--m->left) m->phase = CHUNK_SIZE;
            break;
        default:
            if (read_line_byte(m, data[at])) return -1;
            some = 1;
        }
        at += some;
    }
    return at;
}
