#include "pretend.h"
#include <sys/mman.h>

#include "secret/keyring.h"

/* ---- A source that answers what the test says, 10 ms later ---- */

struct label {
        enum source_verdict verdict;
        const char *version, *json;
};

struct source {
        struct loop *loop;
        struct label at[SECRET_STAGES];
        unsigned fetches[SECRET_STAGES];
        struct deadline answer;
        enum secret_stage stage;
        void (*done)(void *arg, struct source_answer *answer);
        void *arg;
        void (*changed)(void *arg);
        void *changed_arg;
};

static void answer(struct deadline *d)
{
        struct source *s = container_of(d, struct source, answer);
        const struct label *l = &s->at[s->stage];
        static const struct document_endpoint none = {"", 0, ""};
        struct source_answer a = {
                .verdict = l->verdict, .request_id = "request-7", .retry_ms = 1000};

        if (l->verdict == SOURCE_FOUND) {
                a.document = document_read(l->json, strlen(l->json), &none, &a.error);
                expect(a.document);
                snprintf(a.version_id, sizeof a.version_id, "%s", l->version);
        } else {
                error_set(&a.error, "08001", "the source says no");
                error_hint(&a.error, "let it be read");
        }
        s->done(s->arg, &a);
        document_free(a.document);
}

void source_fetch(struct source *s, enum secret_stage stage,
                  void (*done)(void *arg, struct source_answer *answer), void *arg)
{
        assert_false(deadline_is_set(&s->answer));
        s->stage = stage;
        s->done = done;
        s->arg = arg;
        s->fetches[stage]++;
        loop_set(s->loop, &s->answer, s->loop->now + 10);
}

bool source_calls(const struct source *s, uint64_t *calls)
{
        *calls = s->fetches[STAGE_CURRENT] + s->fetches[STAGE_PENDING] + s->fetches[STAGE_PREVIOUS];
        return true;
}

void source_free(struct source *s)
{
        loop_clear(s->loop, &s->answer);
        free(s);
}

void source_on_change(struct source *s, void (*changed)(void *arg), void *arg)
{
        s->changed = changed;
        s->changed_arg = arg;
}

const char *source_name(const struct source *s)
{
        (void) s;
        return "secretsmanager eu-west-1 forecaster/database/prod";
}

/* ---- A keyring with an owner that notes what it is told ---- */

struct place {
        struct loop *loop;
        struct source *source;
        struct keyring *keyring;
        struct credential *probing;              /* counted; NULL = none asked for */
        unsigned probes, adopted, changed, told; /* told: changed, and given up */
        bool elsewhere;
        bool inside; /* a keyring_*() call is running */
        int log_fd;
        struct log *log;
};

static void on_probe(void *arg, struct credential *c)
{
        struct place *p = arg;

        assert_false(p->inside);
        credential_unref(p->probing);
        p->probing = credential_ref(c);
        p->probes++;
}

static void on_adopted(void *arg, struct credential *c, bool elsewhere)
{
        struct place *p = arg;

        assert_false(p->inside);
        assert_ptr_equal(c, keyring_active(p->keyring));
        p->adopted++;
        p->elsewhere = elsewhere;
}

static void on_changed(void *arg)
{
        struct place *p = arg;

        assert_false(p->inside);
        p->changed++;
        p->told += keyring_given_up(p->keyring, NULL);
}

static const struct keyring_owner owner = {on_probe, on_adopted, on_changed};
static const struct keyring_options options = {"prod", 300000, 90000};

#define JSON(user, password, host, more)                                                           \
        "{\"host\":\"" host "\",\"port\":5432,\"username\":\"" user "\",\"password\":\"" password  \
        "\",\"database\":\"forecaster\"" more "}"
#define V1 JSON("app", "s3cret-one", "db", "")
#define V2 JSON("app", "s3cret-two", "db", "")

static void run(struct place *p, uint64_t ms)
{
        uint64_t end = p->loop->now + ms;

        pretend_run(p->loop, ms);
        p->loop->now = end;
        pretend_run(p->loop, 0);
}

static void found(struct place *p, enum secret_stage s, const char *version, const char *json)
{
        p->source->at[s] = (struct label){SOURCE_FOUND, version, json};
}

static void login(struct place *p, struct credential *c, enum rotation_login how)
{
        struct error e = {0};

        if (how != ROTATION_OK)
                error_set(&e, "28P01", "password authentication failed for user \"app\"");
        p->inside = true;
        keyring_login(p->keyring, c, how, how == ROTATION_OK ? NULL : &e);
        p->inside = false;
}

/* The login that was asked for ends so. */
static void probe_ends(struct place *p, enum rotation_login how)
{
        struct credential *c = TAKE(p->probing);

        assert_non_null(c);
        login(p, c, how);
        credential_unref(c);
        run(p, 50);
}

static void make(struct place *p)
{
        *p = (struct place){.loop = pretend_loop()};
        p->log_fd = memfd_create("log", 0);
        p->log = log_new(p->log_fd, LOG_DEBUG, LOG_LOGFMT);
        p->source = own_new(struct source);
        p->source->loop = p->loop;
        deadline_init(&p->source->answer, answer);
        for (unsigned s = 0; s < SECRET_STAGES; s++)
                p->source->at[s].verdict = SOURCE_NONE;
        found(p, STAGE_CURRENT, "v1", V1);
        p->keyring = keyring_new(p->loop, p->log, &options, p->source, &owner, p);
}

/* Started, and proven with version 1. */
static void start(struct place *p)
{
        make(p);
        run(p, 50);
        probe_ends(p, ROTATION_OK);
}

/* What was logged; no password ever is. */
static void end(struct place *p, char *logged, size_t size)
{
        ssize_t n;

        keyring_free(p->keyring);
        credential_unref(p->probing);
        log_free(p->log);
        n = pread(p->log_fd, logged, size - 1, 0);
        logged[n > 0 ? n : 0] = 0;
        assert_null(strstr(logged, "s3cret"));
        close(p->log_fd);
        pretend_loop_free(p->loop);
}

static void finish(struct place *p)
{
        char logged[65536];

        end(p, logged, sizeof logged);
}

/* ---- The start ---- */

static void the_first_version_is_fetched_proven_and_adopted(void **state)
{
        struct place p;
        struct keyring_status s;

        (void) state;
        make(&p);
        assert_null(keyring_active(p.keyring));
        assert_false(keyring_may_login(p.keyring));
        run(&p, 50);
        assert_string_equal(p.probing->version_id, "v1");
        assert_int_equal(p.adopted, 0);
        probe_ends(&p, ROTATION_OK);
        assert_int_equal(p.adopted, 1);
        assert_false(p.elsewhere);
        assert_true(p.changed >= 1);
        assert_string_equal(keyring_active(p.keyring)->document->username, "app");
        assert_int_equal(keyring_generation(p.keyring), 1);
        assert_true(keyring_may_login(p.keyring));

        keyring_status(p.keyring, &s);
        assert_string_equal(s.version_id, "v1");
        assert_string_equal(s.stage, "AWSCURRENT");
        assert_string_equal(s.state, "settled");
        assert_string_equal(s.last_error, "");
        assert_true(s.fetched > 0);
        assert_in_range(s.age_ms, 40, 100);
        assert_in_range(s.next_poll_ms, 239000, 360000);
        assert_true(s.billed);
        assert_int_equal(s.calls, 1);
        assert_int_equal(s.polls_a_month, 8640);
        assert_in_range(s.calls_a_month, 8640, 8640 + 720); /* an hour of polls and the first look */
        assert_string_equal(keyring_history(p.keyring, 0)->trigger, "start");
        assert_string_equal(keyring_history(p.keyring, 0)->to_version, "v1");
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "adopted");
        assert_null(keyring_history(p.keyring, 1));
        finish(&p);
}

static void an_unreachable_server_leaves_the_first_version_to_the_pool(void **state)
{
        struct place p;

        (void) state;
        make(&p);
        run(&p, 50);
        probe_ends(&p, ROTATION_FAILED);
        assert_int_equal(p.adopted, 1);
        assert_true(keyring_may_login(p.keyring));
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "running");
        login(&p, keyring_active(p.keyring), ROTATION_OK);
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "adopted");
        assert_int_equal(keyring_generation(p.keyring), 1);
        finish(&p);
}

static void a_secret_that_may_not_be_read_is_told(void **state)
{
        struct place p;
        struct error e = {0};

        (void) state;
        make(&p);
        p.source->at[STAGE_CURRENT].verdict = SOURCE_REFUSED;
        keyring_demand(p.keyring, true);
        assert_false(keyring_given_up(p.keyring, &e));
        run(&p, 50);
        assert_true(p.changed >= 1);
        assert_true(keyring_given_up(p.keyring, &e));
        assert_string_equal(e.sqlstate, "57P03");
        assert_string_equal(e.text, "no credentials for prod yet: the source says no");
        assert_string_equal(e.hint, "let it be read");
        finish(&p);
}

static void it_can_end_at_any_moment(void **state)
{
        struct place p;

        (void) state;
        make(&p);
        finish(&p);
        make(&p);
        run(&p, 5);
        finish(&p);
        make(&p);
        run(&p, 50);
        assert_non_null(p.probing);
        finish(&p);
        keyring_free(NULL);
        credential_unref(NULL);
}

/* ---- A rotation ---- */

static void a_refused_login_leads_to_the_pending_version(void **state)
{
        struct place p;
        const struct keyring_rotation *h;
        struct keyring_status s;
        char logged[65536];

        (void) state;
        start(&p);
        found(&p, STAGE_PENDING, "v2", V2);
        keyring_demand(p.keyring, true);
        keyring_waiters(p.keyring, 3);
        for (unsigned i = 0; i < 3; i++)
                login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
        assert_false(keyring_may_login(p.keyring));
        assert_true(keyring_bridging(p.keyring));
        keyring_waiters(p.keyring, 7);
        keyring_waiters(p.keyring, 5);
        run(&p, 100);
        assert_int_equal(p.probes, 2);
        assert_string_equal(p.probing->version_id, "v2");
        keyring_status(p.keyring, &s);
        assert_string_equal(s.state, "login refused");
        assert_string_equal(s.last_error, "password authentication failed for user \"app\"");
        assert_true(keyring_history(p.keyring, 0)->bridged_ms >= 100);
        probe_ends(&p, ROTATION_OK);

        assert_string_equal(keyring_active(p.keyring)->version_id, "v2");
        assert_int_equal(keyring_generation(p.keyring), 2);
        assert_int_equal(p.adopted, 2);
        assert_false(p.elsewhere);
        keyring_status(p.keyring, &s);
        assert_true(s.provisional);
        assert_string_equal(s.stage, "AWSPENDING");
        h = keyring_history(p.keyring, 0);
        assert_string_equal(h->trigger, "login refused");
        assert_string_equal(h->from_version, "v1");
        assert_string_equal(h->to_version, "v2");
        assert_string_equal(h->stage, "AWSPENDING");
        assert_string_equal(h->outcome, "provisional");
        assert_int_equal(h->login_failures, 3);
        assert_int_equal(h->waiters, 7);
        assert_in_range(h->bridged_ms, 100, 160);

        found(&p, STAGE_CURRENT, "v2", V2);
        run(&p, 10000);
        keyring_status(p.keyring, &s);
        assert_false(s.provisional);
        assert_string_equal(s.stage, "AWSCURRENT");
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "adopted");
        assert_int_equal(keyring_generation(p.keyring), 2);
        end(&p, logged, sizeof logged);
        assert_non_null(strstr(logged, "credentials adopted"));
        assert_non_null(strstr(logged, "from_version=v1 to_version=v2 stage=AWSPENDING"));
        assert_non_null(strstr(logged, "request_id=request-7"));
        assert_non_null(strstr(logged, "environment=prod"));
}

/* The steps of a rotation as the log has them, and SHOW ROTATIONS. */
static void a_rotation_tells_its_steps_with_times(void **state)
{
        static const char *const lines[] = {
                "event=\"credentials refused, looking for others\" environment=prod trigger=\"login refused\"",
                "event=\"secret fetched\" environment=prod source=\"secretsmanager eu-west-1 "
                "forecaster/database/prod\" stage=AWSCURRENT version=v1 request_id=request-7 took_ms=10 at_ms=10",
                "event=\"secret fetched\"", /* AWSPENDING */
                "stage=AWSPENDING version=v2 request_id=request-7 took_ms=10 at_ms=20",
                "event=\"trying credentials\" environment=prod trigger=\"login refused\" version=v2 "
                "stage=AWSPENDING at_ms=20",
                "event=\"credentials refused\" environment=prod version=v2 stage=AWSPENDING took_ms=80 at_ms=100",
                "stage=AWSPREVIOUS version=v3",
                "event=\"trying credentials\"",
                "event=\"gap bridged\" environment=prod bridged_ms=160 login_failures=2 waiters=7 at_ms=160",
                "event=\"credentials adopted\" environment=prod trigger=\"login refused\" from_version=v1 to_version=v3",
                "event=\"older connections drained\" environment=prod from_version=v1 to_version=v3 connections=4 "
                "at_ms=5210",
        };
        struct place p;
        const struct keyring_rotation *h;
        char logged[65536];
        const char *at = logged;

        (void) state;
        start(&p);
        found(&p, STAGE_PENDING, "v2", V2);
        found(&p, STAGE_PREVIOUS, "v3", V1);
        keyring_waiters(p.keyring, 7);
        login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
        run(&p, 100);
        probe_ends(&p, ROTATION_REFUSED);
        run(&p, 10);
        probe_ends(&p, ROTATION_OK);
        h = keyring_history(p.keyring, 0);
        assert_int_equal(h->drained_ms, -1);
        run(&p, 5000);
        keyring_drained(p.keyring, 4);
        assert_int_equal(h->drained_ms, 5210);
        assert_string_equal(h->steps,
                            "0 ms login refused; 10 ms AWSCURRENT is v1 (10 ms); 20 ms AWSPENDING is v2 (10 ms); "
                            "20 ms v2 tried as AWSPENDING; 100 ms v2 refused (80 ms); "
                            "110 ms AWSPREVIOUS is v3 (10 ms); 110 ms v3 tried as AWSPREVIOUS; "
                            "160 ms gap bridged (160 ms, 7 waited); 160 ms v3 works: provisional; "
                            "5210 ms drained: 4 older connections are closed");
        keyring_drained(p.keyring, 4); /* only once */
        end(&p, logged, sizeof logged);
        at = strstr(logged, "looking for others");
        assert_non_null(at);
        while (at > logged && at[-1] != '\n')
                at--;
        for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
                at = strstr(at, lines[i]);
                if (!at)
                        fail_msg("missing or out of order: %s in\n%s", lines[i], logged);
                at++;
        }
        assert_null(strstr(at, "event=\"older connections"));
}

static void what_the_poll_finds_is_a_step_of_what_comes_of_it(void **state)
{
        struct place p;
        const struct keyring_rotation *h;
        char logged[65536];
        const char *fetch;

        (void) state;
        start(&p);
        assert_string_equal(keyring_history(p.keyring, 0)->steps,
                            "0 ms start; 10 ms AWSCURRENT is v1 (10 ms); 10 ms v1 tried as AWSCURRENT; "
                            "50 ms v1 works: adopted");
        run(&p, 2000000); /* polls that bring nothing new are no steps, and no lines */
        found(&p, STAGE_CURRENT, "v2", V2);
        run(&p, 400000);
        probe_ends(&p, ROTATION_OK);
        h = keyring_history(p.keyring, 0);
        assert_non_null(strstr(h->steps, "0 ms poll; 10 ms AWSCURRENT is v2 (10 ms); 10 ms v2 tried as AWSCURRENT; "));
        end(&p, logged, sizeof logged);
        fetch = strstr(logged, "event=\"secret fetched\"");
        assert_non_null(fetch);
        fetch = strstr(fetch + 1, "event=\"secret fetched\"");
        assert_non_null(fetch);
        assert_null(strstr(fetch + 1, "event=\"secret fetched\""));
}

/* However long it takes, the story has an end and a bound. */
static void a_long_story_has_its_end(void **state)
{
        struct place p;
        const struct keyring_rotation *h;
        static char versions[60][12];

        (void) state;
        start(&p);
        login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
        for (unsigned i = 0; i < 60; i++) {
                snprintf(versions[i], sizeof versions[i], "w%u", i);
                found(&p, STAGE_CURRENT, versions[i], V2);
                keyring_refresh(p.keyring);
                for (unsigned wait = 0; !p.probing && wait < 600; wait++)
                        run(&p, 1000);
                probe_ends(&p, i < 59 ? ROTATION_REFUSED : ROTATION_OK);
        }
        keyring_drained(p.keyring, 1);
        h = keyring_history(p.keyring, 0);
        assert_non_null(strstr(h->steps, "AWSCURRENT is w0 (10 ms)"));
        assert_null(strstr(h->steps, "AWSCURRENT is w58 "));
        assert_non_null(strstr(h->steps, "; ...; "));
        assert_non_null(strstr(h->steps, " gap bridged ("));
        assert_non_null(strstr(h->steps, " w59 works: adopted; "));
        assert_non_null(strstr(h->steps, "older connections are closed"));
        finish(&p);
}

static void a_version_found_by_the_poll_is_proven_first(void **state)
{
        struct place p;

        (void) state;
        start(&p);
        found(&p, STAGE_CURRENT, "v2", JSON("app_clone", "s3cret-two", "db", ""));
        run(&p, 400000);
        assert_string_equal(keyring_active(p.keyring)->version_id, "v1");
        assert_string_equal(p.probing->version_id, "v2");
        probe_ends(&p, ROTATION_OK);
        assert_int_equal(p.adopted, 2);
        assert_true(p.elsewhere); /* another user */
        assert_string_equal(keyring_history(p.keyring, 0)->trigger, "poll");
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "adopted");
        assert_int_equal(keyring_history(p.keyring, 0)->bridged_ms, 0);
        finish(&p);
}

static void a_secret_written_first_leaves_the_old_version(void **state)
{
        struct place p;
        struct keyring_status s;
        char logged[65536];

        (void) state;
        start(&p);
        found(&p, STAGE_CURRENT, "v2", V2);
        keyring_refresh(p.keyring);
        run(&p, 2000);
        probe_ends(&p, ROTATION_REFUSED);
        assert_true(keyring_may_login(p.keyring));
        assert_string_equal(keyring_active(p.keyring)->version_id, "v1");
        keyring_status(p.keyring, &s);
        assert_string_equal(s.stage, "was AWSCURRENT");
        assert_string_equal(keyring_history(p.keyring, 0)->trigger, "refresh");
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "running");

        run(&p, 3000);
        login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
        assert_string_equal(keyring_history(p.keyring, 1)->outcome, "superseded");
        run(&p, 100);
        probe_ends(&p, ROTATION_OK);
        assert_string_equal(keyring_active(p.keyring)->version_id, "v2");
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "adopted");
        end(&p, logged, sizeof logged);
        assert_non_null(strstr(logged, "new credentials refused, the old ones stay"));
}

static void a_login_that_works_again_is_the_same_version(void **state)
{
        struct place p;

        (void) state;
        start(&p);
        login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
        run(&p, 5000);
        assert_string_equal(p.probing->version_id, "v1");
        probe_ends(&p, ROTATION_OK);
        assert_int_equal(keyring_generation(p.keyring), 1);
        assert_int_equal(p.adopted, 1);
        assert_true(p.changed >= 3);
        assert_string_equal(keyring_history(p.keyring, 0)->outcome, "same version");
        finish(&p);
}

static void what_leads_elsewhere_is_no_way_out(void **state)
{
        static const char *const unfit[] = {
                JSON("app", "s3cret-two", "old-db", ",\"ssl_mode\":\"verify-full\""),
                JSON("app", "s3cret-two", "db", ",\"ssl_mode\":\"prefer\""),
                V2,
        };
        static const char *const fit[] = {
                JSON("app_clone", "s3cret-two", "db", ",\"ssl_mode\":\"verify-ca\""),
                JSON("app", "s3cret-two", "db", ",\"ssl_mode\":\"verify-full\""),
        };

        (void) state;
        for (unsigned i = 0; i < 5; i++) {
                struct place p;
                char logged[65536];

                make(&p);
                found(&p, STAGE_CURRENT, "v1",
                      JSON("app", "s3cret-one", "db", ",\"ssl_mode\":\"verify-ca\""));
                run(&p, 50);
                probe_ends(&p, ROTATION_OK);
                found(&p, STAGE_PENDING, "v2", i < 3 ? unfit[i] : fit[i - 3]);
                login(&p, keyring_active(p.keyring), ROTATION_REFUSED);
                run(&p, 500);
                assert_int_equal(p.probes, i < 3 ? 1 : 2);
                end(&p, logged, sizeof logged);
                assert_int_equal(strstr(logged, "secret version not used") != NULL, i < 3);
        }
}

static void a_version_fetched_again_is_the_same_object(void **state)
{
        struct place p;
        struct credential *before;

        (void) state;
        start(&p);
        before = keyring_active(p.keyring);
        run(&p, 1000000);
        assert_true(p.source->fetches[STAGE_CURRENT] >= 3);
        assert_ptr_equal(keyring_active(p.keyring), before);
        assert_int_equal(before->references, 4); /* held, active, current, told */
        assert_int_equal(p.adopted, 1);
        finish(&p);
}

static void other_content_under_the_same_version_is_adopted(void **state)
{
        struct place p;

        (void) state;
        start(&p);
        found(&p, STAGE_CURRENT, "v1", V2);
        run(&p, 400000);
        assert_int_equal(p.adopted, 2);
        assert_string_equal(sealed_open(keyring_active(p.keyring)->document->password),
                            "s3cret-two");
        finish(&p);
}

static void many_rotations_fill_the_history(void **state)
{
        struct place p;
        static char names[40][8];

        (void) state;
        start(&p);
        for (unsigned i = 0; i < 40; i++) {
                snprintf(names[i], sizeof names[i], "w%u", i);
                found(&p, STAGE_CURRENT, names[i], i % 2 ? V1 : V2);
                keyring_refresh(p.keyring);
                run(&p, 1500);
                probe_ends(&p, ROTATION_OK);
        }
        assert_int_equal(keyring_generation(p.keyring), 41);
        assert_string_equal(keyring_history(p.keyring, 0)->to_version, "w39");
        assert_string_equal(keyring_history(p.keyring, 31)->to_version, "w8");
        assert_null(keyring_history(p.keyring, 32));
        finish(&p);
}

/* ---- Calls from outside ---- */

static void a_changed_file_is_read_at_once(void **state)
{
        struct place p;

        (void) state;
        start(&p);
        run(&p, 5000);
        found(&p, STAGE_CURRENT, "v2", V2);
        p.inside = true;
        p.source->changed(p.source->changed_arg);
        p.inside = false;
        run(&p, 50);
        assert_string_equal(p.probing->version_id, "v2");
        finish(&p);
}

static void reload_changes_the_poll(void **state)
{
        struct place p;
        struct keyring_status s;
        struct keyring_options o = {"prod", 0, 90000};

        (void) state;
        start(&p);
        keyring_set(p.keyring, &o);
        keyring_status(p.keyring, &s);
        assert_int_equal(s.next_poll_ms, -1);
        finish(&p);
}

/* ---- The end of patience ---- */

/* Every login is refused until clients are told, which is after 90 s. */
static void hopeless(struct place *p)
{
        uint64_t began;

        start(p);
        found(p, STAGE_PREVIOUS, "v0", JSON("app", "s3cret-zero", "db", ""));
        keyring_demand(p->keyring, true);
        login(p, keyring_active(p->keyring), ROTATION_REFUSED);
        began = p->loop->now;
        while (!keyring_given_up(p->keyring, NULL)) {
                run(p, 20);
                if (p->probing)
                        probe_ends(p, ROTATION_REFUSED);
        }
        assert_in_range(p->loop->now - began, 90000, 90200);
}

static void waiting_clients_are_told_what_was_tried(void **state)
{
        struct place p;
        struct error e = {0};
        const struct keyring_rotation *h;

        (void) state;
        hopeless(&p);
        assert_true(keyring_given_up(p.keyring, &e));
        assert_string_equal(e.sqlstate, "08001");
        assert_non_null(strstr(e.text, "the server has refused the credentials of prod for 90 s"));
        assert_non_null(
                strstr(e.text, "version v1 (found as AWSCURRENT), v0 (found as AWSPREVIOUS)"));
        assert_non_null(strstr(e.text, "password authentication failed"));
        assert_non_null(strstr(e.hint, "forecaster/database/prod"));
        assert_null(strstr(e.text, "s3cret"));
        h = keyring_history(p.keyring, 0);
        assert_string_equal(h->outcome, "given up");
        assert_in_range(h->login_failures, 5, 13);

        found(&p, STAGE_CURRENT, "v2", V2);
        run(&p, 31000);
        probe_ends(&p, ROTATION_OK);
        assert_false(keyring_given_up(p.keyring, &e));
        assert_string_equal(h->outcome, "adopted");
        finish(&p);
}

static void who_comes_later_is_told_soon(void **state)
{
        struct place p;

        (void) state;
        hopeless(&p);
        keyring_demand(p.keyring, false);
        for (unsigned i = 0; i < 100; i++) {
                unsigned before = p.told;

                run(&p, 700 * i);
                if (p.probing)
                        probe_ends(&p, ROTATION_REFUSED);
                keyring_demand(p.keyring, true);
                if (!keyring_given_up(p.keyring, NULL)) {
                        run(&p, 200);
                        if (p.probing)
                                probe_ends(&p, ROTATION_REFUSED);
                        assert_true(p.told > before);
                }
                keyring_demand(p.keyring, false);
        }
        finish(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_version_is_fetched_proven_and_adopted),
                cmocka_unit_test(an_unreachable_server_leaves_the_first_version_to_the_pool),
                cmocka_unit_test(a_secret_that_may_not_be_read_is_told),
                cmocka_unit_test(it_can_end_at_any_moment),
                cmocka_unit_test(a_refused_login_leads_to_the_pending_version),
                cmocka_unit_test(a_rotation_tells_its_steps_with_times),
                cmocka_unit_test(what_the_poll_finds_is_a_step_of_what_comes_of_it),
                cmocka_unit_test(a_long_story_has_its_end),
                cmocka_unit_test(a_version_found_by_the_poll_is_proven_first),
                cmocka_unit_test(a_secret_written_first_leaves_the_old_version),
                cmocka_unit_test(a_login_that_works_again_is_the_same_version),
                cmocka_unit_test(what_leads_elsewhere_is_no_way_out),
                cmocka_unit_test(a_version_fetched_again_is_the_same_object),
                cmocka_unit_test(other_content_under_the_same_version_is_adopted),
                cmocka_unit_test(many_rotations_fill_the_history),
                cmocka_unit_test(a_changed_file_is_read_at_once),
                cmocka_unit_test(reload_changes_the_poll),
                cmocka_unit_test(waiting_clients_are_told_what_was_tried),
                cmocka_unit_test(who_comes_later_is_told_soon),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
