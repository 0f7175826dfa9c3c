/* The scripted upstream: upstream NAME:GAP_US:FILE...
 *
 * Prints where it listens. A request whose body says `bench-NAME` near its beginning is answered with FILE: as one
 * JSON reply, or, where FILE begins with `data: `, as a stream with one HTTP chunk and one send for each event, GAP_US
 * apart (0: without pause). `GET /count` tells how many such replies were begun; any other request gets a short yes.
 */
#include "http.h"

#define SCRIPTS_MAX 32
#define OPENING_MAX 512
#define PIECE_MAX 4096
#define MARK "bench-"

struct piece {
    long start, length, stamp; /* within the wire bytes; the stamp's digits within the piece, or -1 */
};

struct script {
    char name[64];
    int64_t gap_ns;
    char *wire;
    struct piece *pieces;
    int count;
    struct conn *first, *last; /* paced streams in the order of what is due: all have the same gap */
};

struct conn {
    int fd; /* -1: closed, but still in a script's queue */
    struct script *script;
    int next_piece;
    int64_t due_ns;
    struct conn *after;
    char *out; /* what the socket did not take yet */
    long out_length, out_room;
    int opening_length;
    char opening[OPENING_MAX];
    struct message request;
};

static struct script scripts[SCRIPTS_MAX];
static int script_count;
static long replies_begun;
static int poller, timer;
static const char YES[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"Ok\"}";

static void add_piece(struct script *s, long start, long length) {
    struct piece *p = &s->pieces[s->count++];
    char *sign = memchr(s->wire + start, STAMP_SIGN, length);
    *p = (struct piece){start, length, sign ? sign + 1 - (s->wire + start) : -1};
    if (p->stamp >= 0 && length > PIECE_MAX) die("an event of %s is too long", s->name);
}

static void script_plain(struct script *s, const char *body, long length) {
    s->wire = malloc(length + 256);
    s->pieces = malloc(sizeof *s->pieces);
    int head = sprintf(
        s->wire, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %ld\r\n\r\n", length);
    memcpy(s->wire + head, body, length);
    add_piece(s, 0, head + length);
}

static void script_stream(struct script *s, const char *body, long length) {
    int events = 0;
    for (const char *at = body; (at = strstr(at, "\n\n")); at += 2) events++;
    s->wire = malloc(length + 256 + 16L * events);
    s->pieces = malloc((events + 1) * sizeof *s->pieces);
    long end = sprintf(s->wire, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n");
    add_piece(s, 0, end);
    for (const char *at = body, *event_end; (event_end = strstr(at, "\n\n")); at = event_end + 2) {
        long start = end, size = event_end + 2 - at;
        end += sprintf(s->wire + end, "%lx\r\n%.*s\r\n", size, (int)size, at);
        if (s->count == events) end += sprintf(s->wire + end, "0\r\n\r\n");
        add_piece(s, start, end - start);
    }
}

static void load_script(char *argument) {
    struct script *s = &scripts[script_count++];
    char *gap = strchr(argument, ':'), *file = gap ? strchr(gap + 1, ':') : NULL;
    if (!file || script_count == SCRIPTS_MAX || gap - argument > 60) die("not NAME:GAP_US:FILE: %s", argument);
    sprintf(s->name, "%.*s", (int)(gap - argument), argument);
    s->gap_ns = strtol(gap + 1, NULL, 10) * 1000;
    long length;
    char *body = read_file(file + 1, &length);
    if (strncmp(body, "data: ", 6)) script_plain(s, body, length);
    else script_stream(s, body, length);
    free(body);
}

static void close_conn(struct conn *c) {
    close(c->fd);
    c->fd = -1;
    free(c->out);
    c->out = NULL;
    if (!c->script) free(c); /* else whoever serves the script's queue frees it */
}

/* Sends, and keeps what the socket does not take. False when the peer has gone. */
static int put(struct conn *c, const char *data, long length) {
    long sent = 0;
    if (!c->out_length) {
        sent = send(c->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return 0;
        if (sent < 0) sent = 0;
    }
    if (sent == length) return 1;
    if (c->out_length + length - sent > c->out_room) {
        c->out_room = 2 * (c->out_length + length - sent);
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_length, data + sent, length - sent);
    c->out_length += length - sent;
    return 1;
}

static int flush(struct conn *c) {
    while (c->out_length) {
        long sent = send(c->fd, c->out, c->out_length, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        memmove(c->out, c->out + sent, c->out_length -= sent);
    }
    return 1;
}

/* Sends the next piece with the time of now; false when the peer has gone. */
static int send_piece(struct conn *c) {
    struct script *s = c->script;
    struct piece *p = &s->pieces[c->next_piece++];
    if (p->stamp < 0) return put(c, s->wire + p->start, p->length);
    char stamped[PIECE_MAX];
    memcpy(stamped, s->wire + p->start, p->length);
    int64_t now = now_ns();
    for (char *digit = stamped + p->stamp + STAMP_DIGITS; digit-- > stamped + p->stamp; now /= 10)
        *digit = '0' + now % 10;
    return put(c, stamped, p->length);
}

static void enqueue(struct conn *c) {
    struct script *s = c->script;
    c->after = NULL;
    if (s->first) s->last->after = c;
    else s->first = c;
    s->last = c;
}

/* Sends all that is due, and sets the timer for what is due next. */
static void send_due(void) {
    static int64_t timer_ns;
    int64_t now = now_ns(), next = INT64_MAX;
    for (struct script *s = scripts; s < scripts + script_count; s++) {
        struct conn *c;
        while ((c = s->first) && c->due_ns <= now) {
            s->first = c->after;
            int is_there = c->fd >= 0 && send_piece(c);
            if (is_there && c->next_piece < s->count) {
                c->due_ns += s->gap_ns;
                enqueue(c);
                continue;
            }
            c->script = NULL;
            if (c->fd < 0) free(c);
            else if (!is_there) close_conn(c);
        }
        if (c && c->due_ns < next) next = c->due_ns;
    }
    if (next != INT64_MAX && next != timer_ns) set_timer(timer, timer_ns = next);
}

static struct script *asked_for(struct conn *c) {
    char *mark = memmem(c->opening, c->opening_length, MARK, strlen(MARK));
    if (!mark) return NULL;
    char *name = mark + strlen(MARK), *end = name;
    while (end < c->opening + c->opening_length && (isalnum((unsigned char)*end) || *end == '_')) end++;
    for (struct script *s = scripts; s < scripts + script_count; s++)
        if ((long)strlen(s->name) == end - name && !memcmp(name, s->name, end - name)) return s;
    return NULL;
}

/* False when the peer has gone. */
static int answer(struct conn *c) {
    struct script *s = asked_for(c);
    if (!strncmp(c->request.head, "GET /count ", 11)) {
        char text[128], count[24];
        int digits = sprintf(count, "%ld", replies_begun);
        int length = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", digits, count);
        return put(c, text, length);
    }
    if (!s) return put(c, YES, sizeof YES - 1);
    replies_begun++;
    c->script = s;
    c->next_piece = 0;
    int at_once = s->gap_ns ? 2 : s->count, is_there = 1;
    while (is_there && c->next_piece < at_once && c->next_piece < s->count) is_there = send_piece(c);
    if (is_there && c->next_piece < s->count) {
        c->due_ns = now_ns() + s->gap_ns;
        enqueue(c);
    } else {
        c->script = NULL;
    }
    return is_there;
}

static int keep_opening(void *owner, const char *data, long length) {
    struct conn *c = owner;
    long room = OPENING_MAX - c->opening_length;
    if (length > room) length = room;
    memcpy(c->opening + c->opening_length, data, length);
    c->opening_length += length;
    return 0;
}

/* Reads all there is; a short read was the last one, unless the peer has ended. False when that is so. */
static int serve(struct conn *c, int is_ending) {
    static char data[READ_SIZE];
    long n;
    do {
        n = recv(c->fd, data, sizeof data, 0);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) return 0;
        for (long at = 0; at < n;) {
            long taken = message_read(&c->request, data + at, n - at, keep_opening, c);
            if (taken < 0) return 0;
            at += taken;
            if (c->request.phase != WHOLE) continue;
            if (c->script || !answer(c)) return 0;
            message_reset(&c->request);
            c->opening_length = 0;
        }
    } while (n == READ_SIZE || is_ending);
    return 1;
}

static void accept_all(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event events = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &events);
    }
}

static int listen_somewhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096)) die("cannot listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("listening on http://127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    static struct epoll_event events[1024];
    for (int i = 1; i < argc; i++) load_script(argv[i]);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = listen_somewhere();
    struct epoll_event on_timer = {EPOLLIN | EPOLLET, {.ptr = &timer}}, on_listener = {EPOLLIN, {.ptr = &listener}};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &on_timer);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &on_listener);
    for (;;) {
        int n = epoll_wait(poller, events, 1024, -1);
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            int is_ending = events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
            if (what == &listener) accept_all(listener);
            else if (what != &timer && (!flush(what) || !serve(what, is_ending))) close_conn(what);
        }
        send_due();
    }
}
