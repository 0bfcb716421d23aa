#include "../base/cmocka_all.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include "ops/console.h"
#include "ops/snapshot.h"
#include "wire/compose.h"
#include "wire/reply.h"

/* A console with one client. What it answers is told in short: the types of the messages, with the
 * tag of a CommandComplete, the SQLSTATE of an error, the status of a ReadyForQuery. */
struct place {
        struct logins_gate gate;
        struct loop *loop;
        struct elders elders;
        struct sessions *sessions;
        struct config *config;
        struct console *console;
        int fd;                   /* the client's end; -1 = closed */
        struct bytes heard, rest; /* rest: of a message that has not come whole */
        char told[16384];
        unsigned reloads, shutdowns;
        enum console_shutdown how;
        bool reload_at_once;
        const struct error *reload_fails;
        void (*reload_done)(void *arg, const struct error *e);
        void *reload_arg;
};

struct stop {
        struct deadline at;
        struct loop *loop;
};

static void stop(struct deadline *d)
{
        loop_stop(container_of(d, struct stop, at)->loop);
}

static void turns_for(struct loop *l, unsigned ms)
{
        struct stop s = {.loop = l};

        deadline_init(&s.at, stop);
        loop_set(l, &s.at, loop_us() / 1000 + ms);
        loop_run(l);
        loop_clear(l, &s.at);
}

static const char *no_variables(const char *name)
{
        (void) name;
        return NULL;
}

static const struct config *config_now(void *arg)
{
        struct place *p = arg;

        return p->config;
}

static void reload(void *arg, void (*done)(void *done_arg, const struct error *e), void *done_arg)
{
        struct place *p = arg;

        p->reloads++;
        p->reload_done = done;
        p->reload_arg = done_arg;
        if (p->reload_at_once)
                done(done_arg, p->reload_fails);
}

static void set(void *arg, const char *key, const char *value,
                void (*done)(void *done_arg, const struct error *e), void *done_arg)
{
        struct place *p = arg;
        struct config *fresh;
        struct error e = {0};

        if (!config_set(p->config, key, value, &fresh, &e)) {
                done(done_arg, &e);
                return;
        }
        config_free(p->config);
        p->config = fresh;
        done(done_arg, NULL);
}

static void shut_down(void *arg, enum console_shutdown how)
{
        struct place *p = arg;

        p->shutdowns++;
        p->how = how;
}

static void load(struct place *p)
{
        static const char text[] = "environments: {local: {database: {source: env}}}\n";
        struct config_arguments arguments = {.getenv_ = no_variables};
        struct error e = {0};

        if (!config_load_text(&arguments, "test.yaml", text, strlen(text), &p->config, &e))
                fail_msg("%s", e.text);
}

/* Another client of the same console; its descriptor. */
static int visit(struct place *p, uint16_t minor)
{
        int ends[2];
        struct greet greet;
        struct listen_peer peer = {.pid = 4711, .uid = 1000, .gid = 1000};
        static const struct stream_events none;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        greet_init(&greet);
        greet.user = own_string("admin\xff");
        greet.database = own_string("pgbroker");
        greet.minor = minor;
        settings_put(&greet.settings, "application_name", "the test");
        settings_put(&greet.settings, "client_encoding", "LATIN1");

        struct stream *stream = stream_new(p->loop, ends[0], NULL, &none, NULL);

        console_serve(p->console, stream, &peer, &greet);
        greet_free(&greet);
        return ends[1];
}

static const char *hear(struct place *p);

static int set_up(void **state)
{
        struct place *p = own_new(struct place);
        struct console_world w = {
                .config = config_now, .reload = reload, .set = set, .shutdown = shut_down, .arg = p};

        p->loop = w.loop = loop_new();
        p->sessions = w.sessions = sessions_new(p->loop, NULL);
        load(p);
        elders_init(&p->elders, p->loop, NULL);
        w.elders = &p->elders;
        p->console = console_new(&w);
        p->fd = visit(p, 0);
        hear(p);
        *state = p;
        return 0;
}

static int take_down(void **state)
{
        struct place *p = *state;

        console_free(p->console);
        if (p->fd >= 0)
                close(p->fd);
        elders_free(&p->elders);
        sessions_free(p->sessions);
        loop_free(p->loop);
        config_free(p->config);
        bytes_free(&p->heard);
        bytes_free(&p->rest);
        free(p);
        return 0;
}

/* ---- the client's side ---- */

static void tell(struct place *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct place *p, const char *format, ...)
{
        size_t n = strlen(p->told);
        va_list words;

        va_start(words, format);
        vsnprintf(p->told + n, sizeof p->told - n, format, words);
        va_end(words);
}

static void tell_message(struct place *p, char type, const uint8_t *payload, size_t n)
{
        struct reply_error e;
        const char *tag;
        char status;

        tell(p, "%s%c", *p->told ? " " : "", type);
        if (type == 'E' && reply_error(payload, n, &e) == FRAME_READY)
                tell(p, "%s", e.sqlstate);
        else if (type == 'C' && reply_complete(payload, n, &tag) == FRAME_READY)
                tell(p, "(%s)", tag);
        else if (type == 'Z' && reply_ready(payload, n, &status) == FRAME_READY)
                tell(p, "%c", status);
}

static bool receive(struct place *p)
{
        ssize_t n = read(p->fd, bytes_room(&p->heard, 65536), 65536);

        if (n > 0)
                bytes_added(&p->heard, (size_t) n);
        return n > 0 || (n < 0 && errno == EAGAIN);
}

/* All that comes within some turns, in short; "end" where the console has closed. */
static const char *hear(struct place *p)
{
        size_t at = 0;
        bool open = true;

        bytes_clear(&p->heard);
        bytes_append(&p->heard, bytes_data(&p->rest), bytes_length(&p->rest));
        bytes_clear(&p->rest);
        for (int i = 0; i < 4 && open; i++) {
                turns_for(p->loop, 2);
                open = receive(p);
        }
        *p->told = 0;
        while (bytes_length(&p->heard) - at >= FRAME_HEADER) {
                const uint8_t *m = bytes_data(&p->heard) + at;
                size_t size = 1 + (size_t) frame_get32(m + 1);

                if (size > bytes_length(&p->heard) - at)
                        break;
                tell_message(p, (char) *m, m + FRAME_HEADER, size - FRAME_HEADER);
                at += size;
        }
        bytes_append(&p->rest, bytes_data(&p->heard) + at, bytes_length(&p->heard) - at);
        if (!open)
                tell(p, "%send", *p->told ? " " : "");
        return p->told;
}

static void say(struct place *p, struct bytes *b)
{
        assert_false(b->failed);
        assert_int_equal(write(p->fd, bytes_data(b), bytes_length(b)), bytes_length(b));
        bytes_free(b);
}

static const char *query(struct place *p, const char *sql)
{
        struct bytes b = {0};

        compose_query(&b, sql);
        say(p, &b);
        return hear(p);
}

static void put(struct bytes *b, char type, const void *payload, size_t n)
{
        uint32_t length = (uint32_t) n + 4;

        bytes_append(b,
                     (uint8_t[]){(uint8_t) type, (uint8_t) (length >> 24), (uint8_t) (length >> 16),
                                 (uint8_t) (length >> 8), (uint8_t) length},
                     5);
        bytes_append(b, payload, n);
}

static void parse(struct bytes *b, const char *name, const char *sql)
{
        compose_parse(b, name, sql, strlen(sql));
}

/* formats: "" = none, else one digit for each code. */
static void bind_to(struct bytes *b, const char *portal, const char *statement, const char *formats)
{
        struct bytes m = {0};

        bytes_append(&m, portal, strlen(portal) + 1);
        bytes_append(&m, statement, strlen(statement) + 1);
        bytes_append(&m, "\0\0\0\0\0", 5);
        bytes_append(&m, (uint8_t[]){(uint8_t) strlen(formats)}, 1);
        for (; *formats; formats++)
                bytes_append(&m, (uint8_t[]){0, (uint8_t) (*formats - '0')}, 2);
        put(b, 'B', bytes_data(&m), bytes_length(&m));
        bytes_free(&m);
}

static void target(struct bytes *b, char type, char kind, const char *name)
{
        char text[80];
        int n = snprintf(text, sizeof text, "%c%s", kind, name);

        put(b, type, text, (size_t) n + 1);
}

static void execute(struct bytes *b, const char *portal, uint8_t rows)
{
        struct bytes m = {0};

        bytes_append(&m, portal, strlen(portal) + 1);
        bytes_append(&m, (uint8_t[]){0, 0, 0, rows}, 4);
        put(b, 'E', bytes_data(&m), bytes_length(&m));
        bytes_free(&m);
}

/* Does the last answer contain these bytes? */
static bool says(const struct place *p, const void *words, size_t n)
{
        return memmem(bytes_data(&p->heard), bytes_length(&p->heard), words, n) != NULL;
}

/* ---- logging in ---- */

static void the_welcome_is_a_postgresql_s(void **state)
{
        struct place *p = *state;

        close(p->fd);
        p->fd = visit(p, 0);
        assert_string_equal(hear(p), "R S S S S S S S S S S S S S K ZI");
        assert_true(says(p, "server_version\00015.0 (pgbroker", 29));
        assert_true(says(p, "client_encoding\0UTF8", 21));
        assert_true(says(p, "application_name\0the test", 26));
        assert_true(says(p, "session_authorization\0admin?", 29));
}

static void a_newer_protocol_is_negotiated(void **state)
{
        struct place *p = *state;

        close(p->fd);
        p->fd = visit(p, 9999);
        assert_true(strncmp(hear(p), "v R S", 5) == 0);
}

static void too_many_are_turned_away(void **state)
{
        struct place *p = *state;
        int more[80];
        int open = 0;

        for (int i = 0; i < 80; i++)
                more[i] = visit(p, 0);
        turns_for(p->loop, 2);
        for (int i = 0; i < 80; i++) {
                char first;

                assert_int_equal(read(more[i], &first, 1), 1);
                open += first == 'R';
                assert_true(first == 'R' || first == 'E');
                close(more[i]);
        }
        assert_in_range(open, 16, 79);
        turns_for(p->loop, 2);
        assert_string_equal(query(p, "SHOW VERSION"), "T D C(SHOW) ZI");
        close(p->fd);
        p->fd = visit(p, 0);
        assert_true(strncmp(hear(p), "R S", 3) == 0);
}

/* ---- the simple protocol ---- */

static void queries_are_answered(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, "SHOW VERSION"), "T D C(SHOW) ZI");
        assert_true(says(p, "pgbroker " PGBROKER_VERSION, 9 + strlen(PGBROKER_VERSION)));
        assert_string_equal(query(p, "SHOW POOLS"), "T C(SHOW) ZI");
        assert_string_equal(query(p, "SHOW LISTS"), "T D D D D D D D D D D D D D D C(SHOW) ZI");
        assert_string_equal(query(p, "show client_encoding;"), "T D C(SHOW) ZI");
        assert_string_equal(query(p, "SHOW application_name"), "T D C(SHOW) ZI");
        assert_true(says(p, "the test", 8));
        assert_string_equal(query(p, "SELECT 1"), "T D C(SELECT 1) ZI");
        assert_string_equal(query(p, "NONSENSE"), "E42601 ZI");
        assert_string_equal(query(p, "KILL x"), "E3D000 ZI");
        assert_string_equal(query(p, "SET pool_size = 7; SHOW CONFIG") + strlen(p->told) - 10,
                            "C(SHOW) ZI");
        assert_true(says(p, "pool.pool_size\0\0\0\0017", 19) ||
                    says(p, "pool_size\0\0\0\0017", 14));
        assert_string_equal(query(p, "SET pool_size = x"), "E22023 ZI");
        assert_string_equal(query(p, "KILL_CLIENT 7"), "E42704 ZI");
        assert_string_equal(query(p, "RECONNECT; WAIT_CLOSE"), "C(RECONNECT) C(WAIT_CLOSE) ZI");
}

static void nothing_is_answered_with_nothing(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, ""), "I ZI");
        assert_string_equal(query(p, " ; -- "), "I ZI");
}

static void a_query_of_several_statements_ends_at_the_first_error(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, "SHOW VERSION; SELECT 1"), "T D C(SHOW) T D C(SELECT 1) ZI");
        assert_string_equal(query(p, "SELECT 1; NONSENSE; SELECT 1"), "T D C(SELECT 1) E42601 ZI");
}

static void transactions_are_pretended(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, "BEGIN"), "C(BEGIN) ZT");
        assert_string_equal(query(p, "SHOW VERSION"), "T D C(SHOW) ZT");
        assert_string_equal(query(p, "NONSENSE"), "E42601 ZT");
        assert_string_equal(query(p, "SAVEPOINT a; ROLLBACK TO a"), "C(SAVEPOINT) C(ROLLBACK) ZT");
        assert_string_equal(query(p, "COMMIT"), "C(COMMIT) ZI");
        assert_string_equal(query(p, "BEGIN; ROLLBACK"), "C(BEGIN) C(ROLLBACK) ZI");
}

static void every_show_answers_in_an_empty_world(void **state)
{
        struct place *p = *state;
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);

        for (size_t i = 0; i <= count; i++) {
                OWN(free) char *sql = own_format("SHOW %s", i < count ? shows[i]->name : "HELP");
                const char *told = query(p, sql);

                assert_true(strncmp(told, "T ", 2) == 0);
                assert_non_null(strstr(told, "C(SHOW) ZI"));
        }
}

static void text_that_is_not_utf8_comes_back_clean(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, "SHOW x\xff\xc3"), "E42704 ZI");
        assert_true(says(p, "x??", 3));
}

/* ---- the extended protocol ---- */

static void ask(struct bytes *b, const char *sql, const char *formats)
{
        parse(b, "", sql);
        bind_to(b, "", "", formats);
        target(b, 'D', 'P', "");
        execute(b, "", 0);
}

static const char *asked(struct place *p, const char *sql, const char *formats)
{
        struct bytes b = {0};

        ask(&b, sql, formats);
        compose_sync(&b);
        say(p, &b);
        return hear(p);
}

static void the_extended_protocol_answers_too(void **state)
{
        struct place *p = *state;

        assert_string_equal(asked(p, "SHOW VERSION", ""), "1 2 T D C(SHOW) ZI");
        assert_string_equal(asked(p, "SHOW CONFIG", "1") + strlen(p->told) - 10, "C(SHOW) ZI");
        assert_string_equal(asked(p, "BEGIN", ""), "1 2 n C(BEGIN) ZT");
        assert_string_equal(asked(p, "ROLLBACK", "1"), "1 2 n C(ROLLBACK) ZI");
        assert_string_equal(asked(p, "", ""), "1 2 n I ZI");
        assert_string_equal(asked(p, "NONSENSE", ""), "E42601 ZI");
        assert_string_equal(asked(p, "SHOW VERSION; SHOW VERSION", ""), "E42601 ZI");
        assert_string_equal(asked(p, "SHOW VERSION; NONSENSE", ""), "E42601 ZI");
}

static void formats_are_as_asked_for(void **state)
{
        struct place *p = *state;
        /* the row's one column: its length, then 7 as text or as int4 */
        static const char text[] = "D\0\0\0\x0b\0\1\0\0\0\1"
                                   "7";
        static const char binary[] = "D\0\0\0\x0e\0\1\0\0\0\4\0\0\0\7";

        asked(p, "SELECT 7", "");
        assert_true(says(p, text, sizeof text - 1));
        asked(p, "SELECT 7", "0");
        assert_true(says(p, text, sizeof text - 1));
        asked(p, "SELECT 7", "1");
        assert_true(says(p, binary, sizeof binary - 1));
        assert_string_equal(asked(p, "SELECT 7", "2"), "1 E22023 ZI");
        assert_string_equal(asked(p, "SELECT 7", "11"), "1 E08P01 ZI");
}

static void each_column_has_a_format_of_its_own(void **state)
{
        struct place *p = *state;
        /* int4: OID 23, 4 bytes, no modifier, format */
        static const char as_text[] = "items\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0";
        static const char first[] = "\0\2\0\0\0\x09"
                                    "databases\0\0\0\1"
                                    "0";

        assert_non_null(strstr(asked(p, "SHOW LISTS", "10"), "C(SHOW) ZI"));
        assert_true(says(p, as_text, sizeof as_text));
        assert_true(says(p, first, sizeof first - 1));
        asked(p, "SHOW LISTS", "01");
        assert_false(says(p, first, sizeof first - 1));
        assert_true(says(p, "databases\0\0\0\4\0\0\0\0", 17));
}

static void named_statements_and_portals_live_on(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        parse(&b, "s", "SHOW VERSION");
        target(&b, 'D', 'S', "s");
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 t T ZI");
        bind_to(&b, "p", "s", "");
        execute(&b, "p", 0);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "2 D C(SHOW) ZI");
        parse(&b, "s", "SHOW STATE");
        compose_sync(&b);
        execute(&b, "p", 0);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "E42P05 ZI E34000 ZI");
        target(&b, 'C', 'S', "s");
        target(&b, 'C', 'S', "s");
        bind_to(&b, "", "s", "");
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "3 3 E26000 ZI");
}

static void statements_can_be_deallocated(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        parse(&b, "one", "SHOW VERSION");
        parse(&b, "two", "SHOW VERSION");
        compose_sync(&b);
        say(p, &b);
        hear(p);
        query(p, "DEALLOCATE one");
        target(&b, 'D', 'S', "one");
        compose_sync(&b);
        target(&b, 'D', 'S', "two");
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "E26000 ZI t T ZI");
        assert_string_equal(query(p, "DISCARD ALL"), "C(DISCARD ALL) ZI");
        target(&b, 'D', 'S', "two");
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "E26000 ZI");
}

static void rows_come_in_portions(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        parse(&b, "", "SHOW STATE");
        bind_to(&b, "", "", "");
        execute(&b, "", 2);
        execute(&b, "", 1);
        execute(&b, "", 1);
        execute(&b, "", 0);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 2 D D s D s C(SHOW) C(SHOW) ZI");
        ask(&b, "BEGIN", "");
        execute(&b, "", 0);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 2 n C(BEGIN) E55000 ZT");
        parse(&b, "", "SHOW STATE");
        bind_to(&b, "c", "", "");
        execute(&b, "c", 1);
        compose_sync(&b);
        execute(&b, "c", 5);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 2 D s ZT D D C(SHOW) ZT");
}

static void after_an_error_all_is_skipped_up_to_sync(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        ask(&b, "NONSENSE", "");
        ask(&b, "SHOW VERSION", "");
        compose_query(&b, "SHOW VERSION");
        compose_flush(&b);
        compose_sync(&b);
        ask(&b, "SHOW VERSION", "");
        compose_sync(&b);
        compose_query(&b, "SHOW VERSION");
        say(p, &b);
        assert_string_equal(hear(p), "E42601 ZI 1 2 T D C(SHOW) ZI T D C(SHOW) ZI");
}

static void there_are_limits(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};
        char name[16];

        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof name, "s%d", i);
                parse(&b, name, "SHOW VERSION");
        }
        compose_sync(&b);
        for (int i = 0; i < 30; i++) {
                snprintf(name, sizeof name, "p%d", i);
                bind_to(&b, name, "s1", "");
        }
        compose_sync(&b);
        say(p, &b);

        const char *told = hear(p);

        assert_non_null(strstr(told, "1 E54000 ZI 2"));
        assert_non_null(strstr(told, "2 E54000 ZI"));
}

static void a_message_that_is_too_long_is_refused_and_skipped(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};
        OWN(free) char *sql = own_alloc(100001);

        memset(sql, ' ', 100000);
        compose_query(&b, sql);
        parse(&b, "", sql);
        ask(&b, "SHOW VERSION", "");
        compose_sync(&b);
        compose_query(&b, "SHOW VERSION");
        say(p, &b);
        assert_string_equal(hear(p), "E54000 ZI E54000 ZI T D C(SHOW) ZI");
        sql[16000] = 0;
        assert_string_equal(query(p, sql), "I ZI");
}

static void malformed_messages_are_refused(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        put(&b, 'Q', "SHOW\0VERSION", 13);
        put(&b, 'P', "name\0no end", 11);
        compose_sync(&b);
        put(&b, 'B', "\0\0\0\1\0\0", 6);
        compose_sync(&b);
        put(&b, 'D', "X\0", 2);
        compose_sync(&b);
        put(&b, 'E', "\0\0\0\0\0\0", 6);
        compose_sync(&b);
        put(&b, 'F', "\0\0\0\1\0\0\0\0\0\0", 10);
        put(&b, 'c', "", 0);
        put(&b, 'd', "rows", 4);
        compose_query(&b, "SELECT 1");
        say(p, &b);
        assert_string_equal(hear(p), "E08P01 ZI E08P01 ZI E26000 ZI E08P01 ZI E08P01 ZI E0A000 ZI "
                                     "T D C(SELECT 1) ZI");
        parse(&b, "", "SHOW VERSION");
        put(&b, 'B', "\0\0\0\0\0\1\0\0\0\1x\0\0", 13);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 E08P01 ZI");
}

static void what_is_no_message_ends_the_connection(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        bytes_text(&b, "GET / HTTP/1.1\r\n\r\n");
        say(p, &b);
        assert_string_equal(hear(p), "E08P01 end");
}

static void terminate_ends_the_connection(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        compose_query(&b, "SELECT 1");
        compose_terminate(&b);
        compose_query(&b, "SELECT 1");
        say(p, &b);
        assert_string_equal(hear(p), "T D C(SELECT 1) ZI end");
}

static void input_may_come_byte_by_byte(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        compose_query(&b, "SHOW VERSION");
        ask(&b, "SHOW VERSION", "1");
        compose_sync(&b);
        for (size_t i = 0; i < bytes_length(&b); i++) {
                assert_int_equal(write(p->fd, bytes_data(&b) + i, 1), 1);
                turns_for(p->loop, 0);
        }
        bytes_free(&b);
        assert_string_equal(hear(p), "T D C(SHOW) ZI 1 2 T D C(SHOW) ZI");
}

/* Many answers are asked for and none is read: what waits is bounded, and nothing is lost. */
static void a_client_that_does_not_read_is_waited_for(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};
        unsigned ready = 0, complete = 0;

        for (int i = 0; i < 100; i++)
                compose_query(&b, "SHOW CONFIG; SHOW HELP; SHOW CONFIG");
        say(p, &b);
        for (int i = 0; i < 2000 && ready < 100; i++) {
                turns_for(p->loop, 0);

                const char *told = hear(p);

                for (; (told = strchr(told, 'Z')); told++)
                        ready++;
                for (told = p->told; (told = strchr(told, '(')); told++)
                        complete++;
        }
        assert_int_equal(ready, 100);
        assert_int_equal(complete, 300);
}

/* ---- orders ---- */

static void reload_answers_when_it_is_done(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        compose_query(&b, "RELOAD; SELECT 1");
        compose_query(&b, "SELECT 2");
        say(p, &b);
        assert_string_equal(hear(p), "");
        assert_int_equal(p->reloads, 1);
        p->reload_done(p->reload_arg, NULL);
        assert_string_equal(hear(p), "C(RELOAD) T D C(SELECT 1) ZI T D C(SELECT 1) ZI");
}

static void reload_tells_what_is_wrong(void **state)
{
        struct place *p = *state;
        struct error e = {0};
        struct bytes b = {0};

        error_set(&e, "F0000", "file:1:1: nonsense");
        p->reload_at_once = true;
        p->reload_fails = &e;
        assert_string_equal(query(p, "RELOAD; SELECT 1"), "EF0000 ZI");
        p->reload_at_once = false;
        ask(&b, "RELOAD", "");
        ask(&b, "SELECT 1", "");
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "1 2 n");
        p->reload_done(p->reload_arg, &e);
        assert_string_equal(hear(p), "EF0000 ZI");
}

static void who_asked_for_a_reload_may_leave(void **state)
{
        struct place *p = *state;

        query(p, "RELOAD");
        close(p->fd);
        p->fd = visit(p, 0);
        hear(p);
        p->reload_done(p->reload_arg, NULL);
        assert_string_equal(query(p, "SELECT 1"), "T D C(SELECT 1) ZI");
        query(p, "RELOAD");
        console_free(TAKE(p->console));
        p->reload_done(p->reload_arg, NULL);
}

static void orders_name_environments_that_there_are(void **state)
{
        struct place *p = *state;

        assert_string_equal(query(p, "PAUSE nowhere"), "E3D000 ZI");
        assert_string_equal(query(p, "REFRESH nowhere"), "E3D000 ZI");
        assert_string_equal(query(p, "RESUME nowhere"), "E3D000 ZI");
        assert_string_equal(query(p, "RESUME"), "E55000 ZI");
        assert_string_equal(query(p, "PAUSE"), "C(PAUSE) ZI");
        assert_string_equal(query(p, "REFRESH"), "C(REFRESH) ZI");
}

static void shutdown_is_answered_before_it_is_done(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        ask(&b, "SHUTDOWN WAIT_FOR_CLIENTS", "");
        say(p, &b);
        assert_string_equal(hear(p), "1 2 n C(SHUTDOWN WAIT_FOR_CLIENTS)");
        assert_int_equal(p->shutdowns, 0);
        compose_sync(&b);
        say(p, &b);
        assert_string_equal(hear(p), "ZI");
        assert_int_equal(p->shutdowns, 1);
        assert_int_equal(p->how, SHUTDOWN_WAIT_FOR_CLIENTS);
        assert_string_equal(query(p, "SHUTDOWN"), "C(SHUTDOWN) ZI");
        assert_int_equal(p->shutdowns, 2);
        assert_int_equal(p->how, SHUTDOWN_NOW);
        console_free(TAKE(p->console));
        assert_string_equal(hear(p), "E57P01 end");
}

static void shutdown_is_done_though_nobody_waits_for_its_answer(void **state)
{
        struct place *p = *state;
        struct bytes b = {0};

        ask(&b, "SHUTDOWN WAIT_FOR_SERVERS", "");
        say(p, &b);
        close(p->fd);
        p->fd = -1;
        turns_for(p->loop, 5);
        assert_int_equal(p->shutdowns, 1);
        assert_int_equal(p->how, SHUTDOWN_WAIT_FOR_SERVERS);
}

/* ---- with an environment ---- */

/* A database that is not there: its pool has no servers. */
static const char *variable(const char *name)
{
        return strcmp(name, "DB_HOST") == 0 ? "/nonexistent" : NULL;
}

static struct pool *add_environment(struct place *p)
{
        struct source_options o = {.kind = SOURCE_ENV, .environment = "local", .getenv_ = variable};
        struct pool_config c = {.environment = "local",
                                .options = p->config->environments[0].pool,
                                .tls = p->config->environments[0].tls,
                                .bridge_timeout = 1000,
                                .gate = &p->gate};
        const char *alias = "dev";
        struct access_list nobody = {0};
        struct error e = {0};
        struct source *source = source_new(p->loop, NULL, NULL, NULL, &o, &e);

        if (!source)
                fail_msg("%s", e.text);

        logins_gate_init(&p->gate);

        struct pool *pool = pool_new(p->loop, NULL, &c, source);

        sessions_put(p->sessions, "local", &alias, 1, pool, &nobody);
        turns_for(p->loop, 50);
        return pool;
}

static void remove_environment(struct place *p, struct pool *pool)
{
        sessions_remove(p->sessions, sessions_find(p->sessions, "local"));
        pool_free(pool);
}

static void pause_waits_for_the_last_server(void **state)
{
        struct place *p = *state;
        struct pool *pool = add_environment(p);
        struct bytes b = {0};

        assert_string_equal(query(p, "RESUME dev"), "E55000 ZI");
        pool->servers.count[SERVER_LENT]++;
        compose_query(&b, "PAUSE dev; SELECT 1");
        say(p, &b);
        assert_string_equal(hear(p), "");
        assert_true(pool->paused);
        pool->servers.count[SERVER_LENT]--;
        turns_for(p->loop, 50);
        assert_string_equal(hear(p), "C(PAUSE) T D C(SELECT 1) ZI");
        assert_string_equal(query(p, "RESUME local"), "C(RESUME) ZI");
        assert_false(pool->paused);
        remove_environment(p, pool);
}

static void pause_ends_with_resume_and_with_the_environment(void **state)
{
        struct place *p = *state;
        struct pool *pool = add_environment(p);

        pool->servers.count[SERVER_LENT]++;
        assert_string_equal(query(p, "PAUSE local"), "");

        int first = p->fd;

        p->fd = visit(p, 0);
        hear(p);
        assert_string_equal(query(p, "RESUME"), "C(RESUME) ZI");
        close(p->fd);
        p->fd = first;
        turns_for(p->loop, 50);
        assert_string_equal(hear(p), "E57014 ZI");
        assert_string_equal(query(p, "PAUSE local"), "");
        pool->servers.count[SERVER_LENT]--;
        remove_environment(p, pool);
        turns_for(p->loop, 50);
        assert_string_equal(hear(p), "E3D000 ZI");
}

static void who_asked_for_a_pause_may_leave(void **state)
{
        struct place *p = *state;
        struct pool *pool = add_environment(p);

        pool->servers.count[SERVER_LENT]++;
        assert_string_equal(query(p, "PAUSE local"), "");
        close(p->fd);
        p->fd = -1;
        turns_for(p->loop, 50);
        assert_true(pool->paused);
        pool->servers.count[SERVER_LENT]--;
        remove_environment(p, pool);
}

static void the_environment_is_shown(void **state)
{
        struct place *p = *state;
        struct pool *pool = add_environment(p);
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);

        for (size_t i = 0; i < count; i++) {
                OWN(free) char *sql = own_format("SHOW %s", shows[i]->name);

                assert_non_null(strstr(query(p, sql), "C(SHOW) ZI"));
                assert_non_null(strstr(asked(p, sql, "1"), "C(SHOW) ZI"));
                assert_false(says(p, "dev_password", 12));
        }
        query(p, "SHOW DATABASES");
        assert_true(says(p, "/nonexistent", 12));
        assert_true(says(p, "dev_user", 8));
        query(p, "SHOW SECRETS");
        assert_true(says(p, "environment", 11));
        remove_environment(p, pool);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                IN_PLACE(the_welcome_is_a_postgresql_s),
                IN_PLACE(a_newer_protocol_is_negotiated),
                IN_PLACE(too_many_are_turned_away),
                IN_PLACE(queries_are_answered),
                IN_PLACE(nothing_is_answered_with_nothing),
                IN_PLACE(a_query_of_several_statements_ends_at_the_first_error),
                IN_PLACE(transactions_are_pretended),
                IN_PLACE(every_show_answers_in_an_empty_world),
                IN_PLACE(text_that_is_not_utf8_comes_back_clean),
                IN_PLACE(the_extended_protocol_answers_too),
                IN_PLACE(formats_are_as_asked_for),
                IN_PLACE(each_column_has_a_format_of_its_own),
                IN_PLACE(named_statements_and_portals_live_on),
                IN_PLACE(statements_can_be_deallocated),
                IN_PLACE(rows_come_in_portions),
                IN_PLACE(after_an_error_all_is_skipped_up_to_sync),
                IN_PLACE(there_are_limits),
                IN_PLACE(a_message_that_is_too_long_is_refused_and_skipped),
                IN_PLACE(malformed_messages_are_refused),
                IN_PLACE(what_is_no_message_ends_the_connection),
                IN_PLACE(terminate_ends_the_connection),
                IN_PLACE(input_may_come_byte_by_byte),
                IN_PLACE(a_client_that_does_not_read_is_waited_for),
                IN_PLACE(reload_answers_when_it_is_done),
                IN_PLACE(reload_tells_what_is_wrong),
                IN_PLACE(who_asked_for_a_reload_may_leave),
                IN_PLACE(orders_name_environments_that_there_are),
                IN_PLACE(shutdown_is_answered_before_it_is_done),
                IN_PLACE(shutdown_is_done_though_nobody_waits_for_its_answer),
                IN_PLACE(pause_waits_for_the_last_server),
                IN_PLACE(pause_ends_with_resume_and_with_the_environment),
                IN_PLACE(who_asked_for_a_pause_may_leave),
                IN_PLACE(the_environment_is_shown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
