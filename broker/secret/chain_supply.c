#include "secret/chain_supply.h"

void chain_supply_set(struct chain_supply *s, struct loop *l, struct http *http,
                      const struct shared_way *way, const struct role_owner *owner,
                      const struct lease_user *user)
{
        chain_supply_clear(s);
        if (way->offer == SHARED_PROCESS)
                s->process = process_new(l, way->command, user);
        if (way->offer == SHARED_ROLE || way->offer == SHARED_WEB_IDENTITY)
                s->role = role_new(
                        l, http,
                        &(struct role_options){
                                .role_arn = way->role_arn,
                                .session_name = way->session_name,
                                .external_id = way->external_id,
                                .duration_s = way->duration_s,
                                .token_file = way->token_file,
                                .token_setting = way->profile ? "web_identity_token_file"
                                                              : "AWS_WEB_IDENTITY_TOKEN_FILE"},
                        owner, user);
}

void chain_supply_clear(struct chain_supply *s)
{
        role_free(s->role);
        process_free(s->process);
        *s = (struct chain_supply){0};
}

static struct lease *lease_of(struct chain_supply *s)
{
        if (s->role)
                return role_lease(s->role);
        return s->process ? process_lease(s->process) : NULL;
}

enum lease_state chain_supply_look(struct chain_supply *s, const struct shared_way *way,
                                   struct aws_credentials *out, struct error *e)
{
        enum lease_state state;

        switch (way->offer) {
        case SHARED_KEYS:
                *out = (struct aws_credentials){way->access_key_id, way->secret_access_key,
                                                way->session_token,
                                                way->profile ? "shared file" : "environment", 0};
                return LEASE_GOOD;
        case SHARED_REFUSED:
                *e = way->error;
                return LEASE_FAILED;
        default:
                state = lease_look(lease_of(s), out, e);
                if (state == LEASE_FAILED && way->profile)
                        error_context(e, "profile %.100s", way->profile);
                return state;
        }
}

void chain_supply_forget(struct chain_supply *s)
{
        if (lease_of(s))
                lease_forget(lease_of(s));
}

void chain_supply_source_settled(struct chain_supply *s)
{
        role_source_settled(s->role);
}
