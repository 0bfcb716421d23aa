#include "fake_server.h"
#include "backend/dial.h"

OWN_DEFINE(struct loop, loop_free)

/* ---- scripts ---- */

/* Answers a Sync, and a query with one row of one text, until the peer goes away. */
static void answer(struct fake *f, int fd, const char *text)
{
        static const uint8_t columns[] = "T\0\0\0\x1a\0\1c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
        char type;

        while ((type = fake_message(f, fd)) && type != 'X') {
                struct bytes b = {0};

                if (type == 'Q') {
                        uint8_t row[] = {'D', 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
                        size_t n = strlen(text);

                        row[4] = (uint8_t) (10 + n);
                        row[10] = (uint8_t) n;
                        bytes_append(&b, columns, sizeof columns - 1);
                        bytes_append(&b, row, sizeof row);
                        bytes_append(&b, text, n);
                        bytes_append(&b, "C\0\0\0\x09SHOW\0", 10);
                }
                compose_ready(&b, 'I');
                fake_send(fd, &b);
        }
}

static void trust(struct fake *f, int fd, const char *in_hot_standby, const char *text)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        bytes_append(&b, "R\0\0\0\x08\0\0\0\0", 9);
        compose_parameter(&b, "server_version", "15.1");
        if (in_hot_standby) {
                compose_parameter(&b, "in_hot_standby", in_hot_standby);
                compose_parameter(&b, "default_transaction_read_only", "off");
        }
        bytes_append(&b, "K\0\0\0\x0c\0\0\0\1\0\0\0\2", 13);
        compose_ready(&b, 'I');
        fake_send(fd, &b);
        answer(f, fd, text);
}

static void primary(struct fake *f, int fd)
{
        trust(f, fd, "off", "");
}

static void standby(struct fake *f, int fd)
{
        trust(f, fd, "on", "");
}

static void old_primary(struct fake *f, int fd)
{
        trust(f, fd, NULL, "off");
}

static void old_standby(struct fake *f, int fd)
{
        trust(f, fd, NULL, "on");
}

static void refuses(struct fake *f, int fd)
{
        struct error e = {0};
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        error_set(&e, f->sqlstate, "the server's own words");
        compose_error(&b, "FATAL", &e);
        fake_send(fd, &b);
}

static void is_silent(struct fake *f, int fd)
{
        char c;

        (void) f;
        while (recv(fd, &c, 1, 0) > 0)
                continue;
}

/* ---- dialing ---- */

#define FAKES 3

struct outcome {
        struct loop *loop;
        int calls, unfit;
        unsigned host, port;            /* of the connection */
        enum connect_failure failure;
        struct error error;
        struct fake f[FAKES];
};

static void done(void *arg, struct connection *c, unsigned host, enum connect_failure failure,
                 const struct error *e)
{
        struct outcome *o = arg;

        o->calls++;
        o->host = host;
        o->failure = failure;
        o->port = c ? c->port : 0;
        if (c)
                assert_string_equal(c->host, "127.0.0.1");
        if (e)
                o->error = *e;
        assert_int_equal(c == NULL, e != NULL);
        connection_close(c);
        loop_stop(o->loop);
}

static void unfit(void *arg, const struct connection *c)
{
        struct outcome *o = arg;

        o->unfit++;
        assert_int_equal(c->port, o->f[o->unfit - 1].port);
}

static void prepare(struct document *d, char *user, char *database)
{
        *d = (struct document){.username = user, .database = database, .password = sealed_new("s3cret", 6)};
}

/* One fake server for each script; dialed from `first` on. */
static void dial(struct outcome *o, enum target_session_attrs target, unsigned first, unsigned timeout_ms,
                 void (*const *scripts)(struct fake *f, int fd), const char *sqlstate)
{
        OWN(loop_free) struct loop *l = loop_new();
        char user[] = "app", database[] = "forecasts";
        struct document d;
        struct dial_options options = {.connect = {.document = &d,
                                                   .timeout_ms = timeout_ms ? timeout_ms : 20000,
                                                   .session = {.application_name = "pgbroker"},
                                                   .target = target,
                                                   .unfit = unfit},
                                       .first = first};

        memset(o, 0, sizeof *o);
        o->loop = l;
        prepare(&d, user, database);
        for (unsigned i = 0; i < FAKES && scripts[i]; i++) {
                o->f[i].sqlstate = sqlstate;
                fake_start(&o->f[i], scripts[i], NULL);
                assert_null(hosts_read_names(&d.hosts, "127.0.0.1"));
                d.hosts.at[i].port = (uint16_t) o->f[i].port;
        }
        assert_non_null(dial_start(l, &options, done, o));
        loop_run(l);
        assert_int_equal(o->calls, 1);
        for (unsigned i = 0; i < FAKES && scripts[i]; i++)
                fake_stop(&o->f[i]);
        hosts_free(&d.hosts);
        sealed_free(d.password);
}

typedef void (*const scripts[FAKES])(struct fake *f, int fd);

#define assert_leads_to(o, i)                                                                      \
        do {                                                                                       \
                assert_int_equal((o).port, (o).f[i].port);                                         \
                assert_int_equal((o).host, i);                                                     \
        } while (0)
#define assert_failure(o, kind)                                                                    \
        assert_string_equal(connect_failure_name((o).failure), connect_failure_name(kind))
#define assert_says(o, words) assert_non_null(strstr((o).error.text, words))

static void the_first_that_answers_is_taken(void **state)
{
        struct outcome o;

        (void) state;
        dial(&o, TARGET_ANY, 0, 0, (scripts){standby, primary}, NULL);
        assert_leads_to(o, 0);
        dial(&o, TARGET_ANY, 1, 0, (scripts){standby, primary}, NULL);
        assert_leads_to(o, 1);
        assert_int_equal(o.f[0].accepted, 0);
        dial(&o, TARGET_ANY, 5, 0, (scripts){refuses, primary, refuses}, "57P03");
        assert_leads_to(o, 1);
        assert_int_equal(o.f[2].startups, 1);
        assert_int_equal(o.f[0].startups, 1);
}

static void hosts_of_another_role_are_passed_over_and_told_of(void **state)
{
        struct outcome o;

        (void) state;
        dial(&o, TARGET_READ_WRITE, 0, 0, (scripts){standby, standby, primary}, NULL);
        assert_leads_to(o, 2);
        assert_int_equal(o.unfit, 2);
        dial(&o, TARGET_STANDBY, 0, 0, (scripts){primary, standby}, NULL);
        assert_leads_to(o, 1);
        assert_int_equal(o.unfit, 1);
}

static void a_server_that_does_not_say_its_role_is_asked(void **state)
{
        struct outcome o;

        (void) state;
        dial(&o, TARGET_READ_WRITE, 0, 0, (scripts){old_standby, old_primary}, NULL);
        assert_leads_to(o, 1);
        assert_int_equal(o.unfit, 1);
        assert_non_null(strchr(o.f[0].said, 'Q'));
        dial(&o, TARGET_READ_ONLY, 0, 0, (scripts){old_primary, old_standby}, NULL);
        assert_leads_to(o, 1);
        dial(&o, TARGET_ANY, 0, 0, (scripts){old_primary}, NULL);
        assert_leads_to(o, 0);
        assert_null(strchr(o.f[0].said, 'Q'));
}

static void prefer_standby_is_any_where_there_is_none(void **state)
{
        struct outcome o;

        (void) state;
        dial(&o, TARGET_PREFER_STANDBY, 0, 0, (scripts){primary, standby}, NULL);
        assert_leads_to(o, 1);
        dial(&o, TARGET_PREFER_STANDBY, 0, 0, (scripts){refuses, primary}, "57P03");
        assert_leads_to(o, 1);
        assert_int_equal(o.f[1].startups, 2);
        /* The primary is what it should be: its servers stay. */
        assert_int_equal(o.unfit, 0);
}

static void where_none_will_do_each_is_named(void **state)
{
        struct outcome o;
        char words[80];

        (void) state;
        dial(&o, TARGET_PRIMARY, 0, 0, (scripts){standby, refuses}, "57P03");
        assert_failure(o, CONNECT_NETWORK);
        assert_string_equal(o.error.sqlstate, "08001");
        assert_says(o, "none of the 2 hosts will do: ");
        snprintf(words, sizeof words, "port %u failed: it is a standby, and target_session_attrs is primary",
                 o.f[0].port);
        assert_says(o, words);
        snprintf(words, sizeof words, "port %u failed: the server's own words", o.f[1].port);
        assert_says(o, words);
        dial(&o, TARGET_ANY, 0, 0, (scripts){refuses, refuses}, "53300");
        assert_failure(o, CONNECT_SERVER);
        assert_string_equal(o.error.sqlstate, "53300");
}

static void one_host_speaks_for_itself(void **state)
{
        struct outcome o;

        (void) state;
        dial(&o, TARGET_STANDBY, 0, 0, (scripts){primary}, NULL);
        assert_failure(o, CONNECT_ROLE);
        assert_null(strstr(o.error.text, "hosts"));
        assert_says(o, "it is not a standby");
}

static void refused_credentials_are_not_tried_elsewhere(void **state)
{
        static const char *const sqlstates[] = {"28P01", "28000"};
        struct outcome o;

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                dial(&o, TARGET_ANY, 0, 0, (scripts){refuses, primary}, sqlstates[i]);
                assert_failure(o, i ? CONNECT_DENIED : CONNECT_REFUSED);
                assert_string_equal(o.error.sqlstate, sqlstates[i]);
                assert_null(strstr(o.error.text, "hosts"));
                assert_int_equal(o.f[1].accepted, 0);
        }
}

static void a_silent_host_has_its_part_of_the_time_only(void **state)
{
        struct outcome o;
        uint64_t began = loop_us();

        (void) state;
        dial(&o, TARGET_ANY, 0, 3000, (scripts){is_silent, is_silent, primary}, NULL);
        assert_leads_to(o, 2);
        assert_in_range((loop_us() - began) / 1000, 1800, 2900);
}

static void it_can_be_left_at_any_moment(void **state)
{
        OWN(loop_free) struct loop *l = loop_new();
        char user[] = "app", database[] = "forecasts";
        struct document d;
        struct outcome o = {.loop = l};
        struct dial_options options = {.connect = {.document = &d, .timeout_ms = 1000}};

        (void) state;
        prepare(&d, user, database);
        assert_null(hosts_read_names(&d.hosts, "127.0.0.1,localhost,/nonexistent"));
        hosts_set_port(&d.hosts, 1);
        for (options.first = 0; options.first < 3; options.first++)
                dial_cancel(dial_start(l, &options, done, &o));
        dial_cancel(NULL);
        assert_int_equal(o.calls, 0);
        hosts_free(&d.hosts);
        sealed_free(d.password);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_that_answers_is_taken),
                cmocka_unit_test(hosts_of_another_role_are_passed_over_and_told_of),
                cmocka_unit_test(a_server_that_does_not_say_its_role_is_asked),
                cmocka_unit_test(prefer_standby_is_any_where_there_is_none),
                cmocka_unit_test(where_none_will_do_each_is_named),
                cmocka_unit_test(one_host_speaks_for_itself),
                cmocka_unit_test(refused_credentials_are_not_tried_elsewhere),
                cmocka_unit_test(a_silent_host_has_its_part_of_the_time_only),
                cmocka_unit_test(it_can_be_left_at_any_moment),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
