/* What a keyring answers when it is asked: how it is, and what waiting clients are told. */
#include "secret/keyring_parts.h"

#include "base/bytes.h"
#include "base/deadline.h"
#include "secret/cost.h"

struct credential *keyring_active(const struct keyring *k)
{
        return k->active;
}

uint32_t keyring_generation(const struct keyring *k)
{
        return k->generation;
}

bool keyring_may_login(const struct keyring *k)
{
        return k->active && rotation_may_login(k->rotation);
}

bool keyring_bridging(const struct keyring *k)
{
        return rotation_bridging(k->rotation);
}

bool keyring_proven(const struct keyring *k)
{
        return k->active && rotation_proven(k->rotation);
}

static void say_what_was_tried(const struct keyring *k, struct error *e)
{
        uint64_t ms = loop_now(k->loop) - rotation_bridge_began(k->rotation);
        struct bytes tried;

        bytes_init(&tried, 0);
        credentials_refused(&k->credentials, &tried);
        error_set(e, "08001",
                  "the server has refused the credentials of %s for %d s: version %.*s; last: %s",
                  k->environment, (int) (ms / 1000), (int) bytes_length(&tried),
                  bytes_length(&tried) ? (const char *) bytes_data(&tried) : "",
                  k->login_error.text);
        error_hint(e,
                   "set the role's password to what %s holds, or correct the secret; the broker "
                   "goes on trying",
                   source_name(k->source));
        bytes_free(&tried);
}

static void say_lacking(const struct keyring *k, struct error *e)
{
        const struct error *why = error_is_set(&k->fetch_error) ? &k->fetch_error : NULL;
        error_set(e, "57P03", "no credentials for %s yet: %s%s", k->environment,
                  why ? why->text : source_name(k->source), why ? "" : " has not answered");
        error_hint(e, "%s", why ? why->hint : "See SHOW SECRETS for how it goes on.");
}

bool keyring_given_up(const struct keyring *k, struct error *e)
{
        if (!rotation_given_up(k->rotation, loop_now(k->loop)))
                return false;
        if (!e)
                return true;
        if (rotation_bridging(k->rotation))
                say_what_was_tried(k, e);
        else
                say_lacking(k, e);
        return true;
}

bool keyring_lacking(const struct keyring *k, struct error *e)
{
        if (!k->active)
                say_lacking(k, e);
        return !k->active;
}

static const char *stage_of_active(const struct keyring *k)
{
        if (!k->active)
                return "";
        if (rotation_proven(k->rotation) && !rotation_provisional(k->rotation))
                return secret_stage_name(STAGE_CURRENT);
        if (rotation_provisional(k->rotation) && k->active->stage == STAGE_CURRENT)
                return "was AWSCURRENT";
        return secret_stage_name(k->active->stage);
}

void keyring_status(const struct keyring *k, struct keyring_status *out)
{
        uint64_t now = loop_now(k->loop), at = rotation_wake(k->rotation);

        *out = (struct keyring_status){
                .source = source_name(k->source),
                .version_id = k->active ? k->active->version_id : "",
                .stage = stage_of_active(k),
                .last_error = k->login_error.text[0] ? k->login_error.text : k->fetch_error.text,
                .state = rotation_describe(k->rotation),
                .fetched = k->fetched,
                .age_ms = k->fetched ? now - k->fetched_at : 0,
                .next_poll_ms = at == DEADLINE_NEVER ? -1
                                : at > now           ? (int64_t) (at - now)
                                                     : 0,
                .generation = k->generation,
                .bridging = rotation_bridging(k->rotation),
                .provisional = rotation_provisional(k->rotation),
        };
        out->billed = source_calls(k->source, &out->calls);
        if (out->billed) {
                out->calls_a_month = cost_projected(out->calls, now - k->made_at, k->poll_ms);
                out->polls_a_month = cost_planned(k->poll_ms);
        }
}

const struct keyring_rotation *keyring_history(const struct keyring *k, unsigned i)
{
        struct keyring_rotation *h = history_at(k->history, i);

        if (i == 0 && h && k->history->running && rotation_bridging(k->rotation))
                h->bridged_ms = (int64_t) (loop_now(k->loop) - rotation_bridge_began(k->rotation));
        return h;
}
