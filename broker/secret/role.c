#include "secret/role.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/own.h"
#include "secret/attempts.h"
#include "secret/sigv4.h"
#include "secret/sts.h"
#include "secret/token.h"

enum {
        CONNECT_MS = 2000,
        ATTEMPT_MS = 5000,
        ASKING_MS = 10000, /* within the 12 s of a fetch that waits for it */
        ANSWER_LIMIT = 65536,
        NAME_MIN = 2,
        NAME_MAX = 64,
};

struct role {
        struct loop *l;
        struct http *http;
        struct lease *lease;
        struct role_owner owner;
        struct error wrong; /* the options are no good: nobody is asked */
        char *role_arn, *session_name, *external_id, *token_file, *token_setting;
        unsigned duration_s;

        /* One asking: it waits for a token, for its source, for an exchange or for `again`. */
        struct attempts attempts;
        struct sealed *token;
        struct token_reading *reading;
        bool waiting; /* for the source */
        struct http_exchange *exchange;
        struct deadline again;
        uint64_t over_at;
};

/* ---- The end of an asking ---- */

static void stop(struct role *r)
{
        token_cancel(TAKE(r->reading));
        http_cancel(TAKE(r->exchange));
        loop_clear(r->l, &r->again);
        sealed_free(TAKE(r->token));
        r->waiting = false;
}

static void fail(struct role *r, struct error *e)
{
        stop(r);
        error_context(e, "role %.200s", r->role_arn);
        lease_refuse(r->lease, e);
}

static const char *remedy(const struct role *r, enum answer_kind kind)
{
        switch (kind) {
        case ANSWER_DENIED:
                return r->token_file ? "Check the role's trust policy: the token's issuer, its "
                                       "audience and its subject."
                                     : "Allow sts:AssumeRole on it, and check the role's trust "
                                       "policy and external_id.";
        case ANSWER_BAD_KEY:
                return r->token_file ? "Check the token in the file: who issues it, and whether "
                                       "it is renewed."
                                     : "Give the broker AWS credentials that are valid, to assume "
                                       "the role with.";
        case ANSWER_BAD_REQUEST:
                return "Check role_arn, role_session_name, external_id and duration_seconds.";
        case ANSWER_NOT_ENTITLED:
                return "Check the AWS account, and that STS is switched on in that region.";
        default:
                return answer_rule(kind)->hint;
        }
}

static void fail_answered(struct role *r, const struct answer *why)
{
        struct error e = {0};
        bool both = why->code[0] && why->message[0];

        error_set(&e, "08001", "STS: %s%s%s", why->code, both ? ": " : "", why->message);
        error_hint(&e, "%s", why->hint[0] ? why->hint : remedy(r, why->kind));
        fail(r, &e);
}

/* ---- One attempt after another ---- */

static void attempt(struct role *r);

static void again_expired(struct deadline *d)
{
        attempt(container_of(d, struct role, again));
}

static uint64_t time_left(const struct role *r)
{
        uint64_t now = loop_now(r->l);

        return r->over_at > now ? r->over_at - now : 0;
}

static bool try_again(struct role *r, enum answer_kind kind, long long date)
{
        uint32_t pause_ms;

        switch (attempts_next(&r->attempts, kind, date, time(NULL), time_left(r), &pause_ms)) {
        case ATTEMPTS_OVER:
                return false;
        case ATTEMPTS_OTHER_KEY:
                /* A token's file is read again in any case, maybe a moment before it is renewed. */
                if (r->token_file)
                        pause_ms = 1000;
                else
                        r->owner.source_refused(r->owner.arg);
                break;
        default:
                break;
        }
        loop_set(r->l, &r->again, loop_now(r->l) + pause_ms);
        return true;
}

/* Whoever answers may repeat what he does not like. */
static void hide_token(const struct role *r, struct answer *why)
{
        char beginning[32];

        snprintf(beginning, sizeof beginning, "%s", r->token ? sealed_open(r->token) : "");
        if (*beginning && strstr(why->message, beginning))
                why->message[0] = 0;
        sealed_wipe(beginning, sizeof beginning);
}

static void answered(void *arg, const struct http_answer *a, const struct error *e)
{
        struct role *r = arg;
        struct aws_credentials credentials;
        struct answer why;

        r->exchange = NULL;
        if (sts_read(a, e, &credentials, &why)) {
                stop(r);
                lease_grant(r->lease, &credentials, a->date);
        } else if (!try_again(r, why.kind, a->date)) {
                hide_token(r, &why);
                fail_answered(r, &why);
        }
}

static void post(struct role *r, const struct role_sts *sts, const struct sigv4_header *headers,
                 size_t count, const struct bytes *form)
{
        OWN(free)
        char *url = own_format("http%s://%s%s", sts->at.tls ? "s" : "", sts->at.authority,
                               sts->at.path);
        struct http_header out[SIGV4_HEADERS_MAX];
        unsigned left = (unsigned) time_left(r);

        for (size_t i = 0; i < count; i++)
                out[i] = (struct http_header){headers[i].name, headers[i].value};
        r->exchange = http_start(r->http,
                                 &(struct http_request){
                                         .method = "POST",
                                         .url = url,
                                         .headers = out,
                                         .header_count = count,
                                         .body = bytes_data(form),
                                         .body_size = bytes_length(form),
                                         .ca_file = sts->ca_file,
                                         .connect_timeout_ms = CONNECT_MS,
                                         .timeout_ms = left == 0           ? 1
                                                       : left < ATTEMPT_MS ? left
                                                                           : ATTEMPT_MS,
                                         .answer_limit = ANSWER_LIMIT,
                                 },
                                 answered, r);
}

static size_t sign(struct role *r, const struct role_sts *sts,
                   const struct aws_credentials *credentials, const struct bytes *form,
                   struct sigv4_header *headers, size_t count, struct sigv4_signature *signature)
{
        if (credentials->session_token)
                headers[count++] = (struct sigv4_header){"X-Amz-Security-Token",
                                                         sealed_open(credentials->session_token)};
        expect(sigv4_sign(
                &(struct sigv4_request){.method = "POST",
                                        .path = sts->at.path,
                                        .headers = headers,
                                        .header_count = count,
                                        .body = bytes_data(form),
                                        .body_size = bytes_length(form),
                                        .region = sts->region,
                                        .service = "sts",
                                        .access_key_id = credentials->access_key_id,
                                        .secret_access_key = credentials->secret_access_key,
                                        .when = time(NULL) + r->attempts.ahead_s},
                signature));
        headers[count++] = (struct sigv4_header){"X-Amz-Date", signature->date};
        headers[count++] = (struct sigv4_header){
                "Authorization", (const char *) bytes_data(&signature->authorization)};
        return count;
}

/* `credentials`: NULL with web identity, where the token speaks for itself. */
static void send(struct role *r, const struct aws_credentials *credentials)
{
        struct sigv4_header headers[8] = {
                {NULL, NULL},
                {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
        };
        size_t count = 2;
        struct sts_request request = {.role_arn = r->role_arn,
                                      .session_name = r->session_name,
                                      .external_id = r->external_id,
                                      .duration_s = r->duration_s,
                                      .web_identity_token =
                                              r->token ? sealed_open(r->token) : NULL};
        struct sigv4_signature signature = {0};
        struct role_sts sts;
        struct error e = {0};
        struct bytes form;

        if (!r->owner.sts(r->owner.arg, &sts, &e)) {
                fail(r, &e);
                return;
        }
        bytes_init(&form, 0);
        sts_compose(&request, &form);
        headers[0] = (struct sigv4_header){"Host", sts.at.authority};
        if (credentials)
                count = sign(r, &sts, credentials, &form, headers, count, &signature);
        headers[count++] = (struct sigv4_header){"Accept", "application/json"};
        post(r, &sts, headers, count, &form);
        if (credentials)
                sigv4_free(&signature);
        bytes_wipe(&form);
}

static void look_at_source(struct role *r)
{
        struct aws_credentials credentials = {0};
        struct error e = {0};

        r->waiting = false;
        switch (r->owner.source(r->owner.arg, &credentials, &e)) {
        case LEASE_GOOD:
                send(r, &credentials);
                break;
        case LEASE_WAITING:
                r->waiting = true;
                break;
        case LEASE_FAILED:
                error_context(&e, "to assume it");
                fail(r, &e);
                break;
        }
}

void role_source_settled(struct role *r)
{
        if (r && r->waiting)
                look_at_source(r);
}

static void token_came(void *arg, struct sealed *token, const struct error *e)
{
        struct role *r = arg;
        struct error copy = *e;

        r->reading = NULL;
        sealed_free(r->token);
        r->token = token;
        if (token)
                send(r, NULL);
        else
                fail(r, &copy);
}

static void attempt(struct role *r)
{
        r->attempts.made++;
        if (r->token_file)
                r->reading = token_read(r->l, r->token_file, r->token_setting, token_came, r);
        else
                look_at_source(r);
}

static void ask(void *arg)
{
        struct role *r = arg;
        struct error copy = r->wrong;

        if (error_is_set(&copy)) {
                fail(r, &copy);
                return;
        }
        attempts_begin(&r->attempts);
        r->over_at = loop_now(r->l) + ASKING_MS;
        attempt(r);
}

/* ---- Making one ---- */

static bool is_of_name(char c)
{
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";

        return c && strchr(allowed, c);
}

/* "pgbroker-HOST", so that CloudTrail says where. */
static char *own_session_name(void)
{
        char name[NAME_MAX + 1] = "pgbroker-", *host = name + strlen(name);

        gethostname(host, sizeof name - (size_t) (host - name) - 1);
        for (char *c = host; *c; c++)
                if (!is_of_name(*c))
                        *c = '-';
        return own_string(name);
}

static void check(struct role *r)
{
        size_t n = strlen(r->session_name);

        for (const char *c = r->session_name; *c; c++)
                if (!is_of_name(*c))
                        n = 0;
        if (strncmp(r->role_arn, "arn:", 4) != 0 || strlen(r->role_arn) > 2048 ||
            !aws_credentials_is_visible(r->role_arn, strlen(r->role_arn))) {
                error_set(&r->wrong, "08001", "that is not the ARN of a role");
                error_hint(&r->wrong, "It looks like arn:aws:iam::123456789012:role/NAME.");
        } else if (n < NAME_MIN || n > NAME_MAX) {
                error_set(&r->wrong, "08001", "the session's name is no good");
                error_hint(&r->wrong, "2 to 64 letters, digits or _+=,.@- (role_session_name, "
                                      "AWS_ROLE_SESSION_NAME).");
        }
}

struct role *role_new(struct loop *l, struct http *http, const struct role_options *options,
                      const struct role_owner *owner, const struct lease_user *user)
{
        struct role *r = own_new(struct role);

        r->l = l;
        r->http = http;
        r->owner = *owner;
        r->role_arn = own_string(options->role_arn);
        r->session_name =
                options->session_name ? own_string(options->session_name) : own_session_name();
        r->external_id = own_string(options->external_id);
        r->duration_s = options->duration_s;
        r->token_file = own_string(options->token_file);
        r->token_setting = own_string(options->token_setting);
        r->attempts.dice = user->dice;
        r->attempts.dice_arg = user->dice_arg;
        r->lease = lease_new(
                l,
                &(struct lease_provider){.name = r->token_file ? "web identity" : "assumed role",
                                         .ask = ask,
                                         .arg = r},
                user);
        deadline_init(&r->again, again_expired);
        check(r);
        return r;
}

void role_free(struct role *r)
{
        if (!r)
                return;
        stop(r);
        lease_free(r->lease);
        free(r->role_arn);
        free(r->session_name);
        free(r->external_id);
        free(r->token_file);
        free(r->token_setting);
        free(r);
}

struct lease *role_lease(struct role *r)
{
        return r->lease;
}
