/* The load generator: load port=N request=FILE [reply=FILE] closed=CONNECTIONS | rate=PER_S count=N ...
 *
 * Closed loop: each connection sends its next request when it has its reply, for `seconds`. Open loop: `count` requests
 * begin at fixed times, whether or not earlier ones have ended, each on a connection of its own that is free; a time is
 * counted from when the request was to begin, not from when it could. The window, in which replies and events are
 * counted, opens `from` seconds after the start and lasts `seconds`; `begin` and `end` are printed at its edges, for
 * whoever reads the gateway's processor time there. Then everything under way may end for `patience` seconds.
 *
 * Every reply must have status 200 and the bytes of FILE, but for the digits of stamps; with `loose=1` any bytes.
 * `linger=1` gives each request a connection of its own, and keeps them open until standard input ends. The last line is the result, as JSON.
 */
#include "http.h"

struct conn {
    int fd;
    int busy;
    long sent;       /* bytes of the request */
    int64_t began;   /* when the request was to begin */
    int has_body;    /* the first byte of the reply's body has come */
    long position;   /* in the expected reply */
    int digits;      /* of a stamp that are still to come */
    int64_t stamp;
    struct conn *after; /* the next idle one */
    struct message reply;
};

struct samples {
    int64_t *ns;
    long count, room;
};

static struct {
    int port, connections, is_loose, lingers;
    double rate, seconds, from, patience;
    long count, request_length, expected_length;
    char *request, *expected;
} want = {.patience = 10};

static int poller;
static int64_t now, opens_ns, closes_ns;
static struct conn *idle;
static long busy, opened, replies, replies_within, events, bytes, errors;
static char first_error[160];
static struct samples latency, first_byte, transit;

static void add(struct samples *s, int64_t ns) {
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 65536;
        s->ns = realloc(s->ns, s->room * sizeof *s->ns);
        if (!s->ns) die("out of memory");
    }
    s->ns[s->count++] = ns;
}

static int is_within(int64_t at) { return at >= opens_ns && at < closes_ns; }

static void take_stamp(int64_t sent_ns) {
    if (!is_within(now)) return;
    events++;
    add(&transit, now - sent_ns);
}

/* Compares a piece of a body with what was expected there, and takes the stamps out of it. */
static int check(void *owner, const char *data, long n) {
    struct conn *c = owner;
    if (!c->has_body) add(&first_byte, now - c->began);
    c->has_body = 1;
    while (n) {
        long some = 1;
        if (c->digits) {
            if (*data < '0' || *data > '9') return -1;
            c->stamp = c->stamp * 10 + (*data - '0');
            if (!--c->digits) take_stamp(c->stamp);
        } else {
            const char *sign = memchr(data, STAMP_SIGN, n);
            some = sign ? sign + 1 - data : n;
            if (want.expected && !want.is_loose) {
                if (c->position + some > want.expected_length) return -1;
                if (memcmp(want.expected + c->position, data, some)) return -1;
            }
            if (sign) c->digits = STAMP_DIGITS, c->stamp = 0;
        }
        c->position += some;
        data += some;
        n -= some;
    }
    return 0;
}

static void fail(struct conn *c, const char *why) {
    if (!errors++) {
        const char *head = c->reply.head_length ? c->reply.head : "no reply";
        int line = (int)strcspn(head, "\r\n");
        snprintf(first_error, sizeof first_error, "%s after %ld bytes of body (%.*s)", why, c->position,
                 line < 60 ? line : 60, head);
        for (char *at = first_error; *at; at++)
            if (*at == '"' || *at == '\\' || *at < ' ') *at = '\'';
    }
    if (!c->busy) return; /* it stands in the list of idle ones */
    busy--;
    close(c->fd);
    free(c);
}

/* Sends what the socket takes; false when the peer has gone. */
static int flush(struct conn *c) {
    while (c->busy && c->sent < want.request_length) {
        long n = send(c->fd, want.request + c->sent, want.request_length - c->sent, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN;
        c->sent += n;
    }
    return 1;
}

static void start(struct conn *c, int64_t began_ns) {
    c->busy = 1;
    c->sent = c->position = 0;
    c->has_body = c->digits = 0;
    c->began = began_ns;
    message_reset(&c->reply);
    busy++;
    if (!flush(c)) fail(c, "not sent");
}

static struct conn *open_connection(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct conn *c = calloc(1, sizeof *c);
    int yes = 1;
    at.sin_port = htons(want.port);
    if (!c || (c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0) die("no more sockets: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof at) && errno != EINPROGRESS)
        die("cannot connect: %s", strerror(errno));
    struct epoll_event events_of = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &events_of);
    opened++;
    return c;
}

/* A whole reply: judge it, then go on. False when the connection is of no more use. */
static int finish(struct conn *c) {
    if (strncmp(c->reply.head, "HTTP/1.1 200", 12)) return 0;
    if (want.expected && (want.is_loose ? !c->position : c->position != want.expected_length)) return 0;
    replies++;
    if (is_within(now)) replies_within++;
    add(&latency, now - c->began);
    c->busy = 0;
    busy--;
    if (want.connections && now < closes_ns) {
        start(c, now);
    } else {
        c->after = idle;
        idle = c;
    }
    return 1;
}

/* Reads all there is; a short read was the last one, unless the peer has ended. The connection may be gone after it. */
static void serve(struct conn *c, int is_ending) {
    static char data[READ_SIZE];
    long n;
    do {
        n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 && !c->busy) return; /* an idle connection may be closed; it fails if it is used again */
        if (n <= 0) return fail(c, "closed");
        now = now_ns();
        bytes += n;
        if (!c->busy) return fail(c, "more than the reply");
        long taken = message_read(&c->reply, data, n, check, c);
        if (taken < 0) return fail(c, "not what was expected");
        if (taken != n) return fail(c, "more than the reply");
        if (c->reply.phase == WHOLE && finish(c)) return;
        if (c->reply.phase == WHOLE) return fail(c, "not what was expected");
    } while (n == READ_SIZE || is_ending);
}

/* Begins all that is due by now; returns when the next one is, or INT64_MAX. */
static int64_t start_due(int64_t began_ns, long *started) {
    while (*started < want.count) {
        int64_t due = began_ns + (int64_t)(*started / want.rate * 1e9);
        if (due > (now = now_ns())) return due;
        struct conn *c = want.lingers ? NULL : idle;
        if (c) idle = c->after;
        else c = open_connection();
        start(c, due);
        ++*started;
    }
    return INT64_MAX;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s) {
    qsort(s->ns, s->count, sizeof *s->ns, by_size);
    printf(", \"%s\": ", name);
    if (!s->count) {
        printf("null");
        return;
    }
    const double at[] = {0.5, 0.9, 0.99, 0.999, 1};
    const char *names[] = {"p50", "p90", "p99", "p999", "max"};
    for (int i = 0; i < 5; i++)
        printf("%s\"%s\": %.3f", i ? ", " : "{", names[i], s->ns[(long)(at[i] * (s->count - 1) + 0.5)] / 1e3);
    printf("}");
}

static void say(const char *word) {
    puts(word);
    fflush(stdout);
}

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) die("not NAME=VALUE: %s", argv[i]);
        *value++ = 0;
        if (!strcmp(argv[i], "port")) want.port = atoi(value);
        else if (!strcmp(argv[i], "request")) want.request = read_file(value, &want.request_length);
        else if (!strcmp(argv[i], "reply")) want.expected = read_file(value, &want.expected_length);
        else if (!strcmp(argv[i], "closed")) want.connections = atoi(value);
        else if (!strcmp(argv[i], "rate")) want.rate = atof(value);
        else if (!strcmp(argv[i], "count")) want.count = atol(value);
        else if (!strcmp(argv[i], "from")) want.from = atof(value);
        else if (!strcmp(argv[i], "seconds")) want.seconds = atof(value);
        else if (!strcmp(argv[i], "patience")) want.patience = atof(value);
        else if (!strcmp(argv[i], "loose")) want.is_loose = atoi(value);
        else if (!strcmp(argv[i], "linger")) want.lingers = atoi(value);
        else die("unknown: %s", argv[i]);
    }
    if (!want.port || !want.request || !(want.connections || want.rate > 0)) die("port, request, closed or rate?");
}

/* Handles what has come until everything that was begun has ended, or patience has. */
static void run(int64_t began_ns) {
    static struct epoll_event found[1024];
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), edge = 0;
    struct epoll_event on_timer = {EPOLLIN | EPOLLET, {.ptr = NULL}};
    int64_t timer_ns = 0;
    long started = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &on_timer);
    for (;;) {
        int64_t next = start_due(began_ns, &started), edge_ns = edge ? closes_ns : opens_ns;
        now = now_ns();
        if (edge < 2 && now >= edge_ns) {
            say(edge++ ? "end" : "begin");
            continue;
        }
        if (edge == 2 && started == want.count && (!busy || now > closes_ns + (int64_t)(want.patience * 1e9))) return;
        if (edge < 2 && edge_ns < next) next = edge_ns;
        if (next != INT64_MAX && next != timer_ns) set_timer(timer, timer_ns = next);
        int n = epoll_wait(poller, found, 1024, 100);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct conn *c = found[i].data.ptr;
            if (!c) continue;
            if (!flush(c)) fail(c, "not sent");
            else serve(c, found[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
    }
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    poller = epoll_create1(0);
    struct conn *ready[4096];
    if (want.connections > 4096) die("at most 4096 connections in a closed loop");
    for (int i = 0; i < want.connections; i++) ready[i] = open_connection();
    int64_t began_ns = now_ns();
    opens_ns = began_ns + (int64_t)(want.from * 1e9);
    closes_ns = opens_ns + (int64_t)(want.seconds * 1e9);
    for (int i = 0; i < want.connections; i++) start(ready[i], now = now_ns());
    run(began_ns);
    if (want.lingers) {
        say("lingers");
        while (getchar() != EOF) {
        }
    }
    printf("{\"seconds\": %.6f, \"replies\": %ld, \"all_replies\": %ld, \"events\": %ld, \"bytes\": %ld, \"errors\": %ld, "
           "\"unfinished\": %ld, \"connections\": %ld, \"first_error\": \"%s\"",
           want.seconds, replies_within, replies, events, bytes, errors, busy, opened, first_error);
    print_samples("latency_us", &latency);
    print_samples("first_byte_us", &first_byte);
    print_samples("transit_us", &transit);
    puts("}");
}
