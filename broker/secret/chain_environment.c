#include "secret/chain_environment.h"

#include <string.h>
#include "base/own.h"
#include "secret/shared_way.h"

/* Set, and not to nothing. */
static const char *variable(const char *(*getenv_)(const char *), const char *name)
{
        const char *value = getenv_(name);

        return value && *value ? value : NULL;
}

static void refuse(struct shared_way *w, const char *set, const char *unset)
{
        w->offer = SHARED_REFUSED;
        error_set(&w->error, "08001", "environment: %s is set, %s is not", set, unset);
        error_hint(&w->error, "Set both, or none.");
}

static void read_keys(struct shared_way *w, const char *(*getenv_)(const char *) )
{
        const char *id = variable(getenv_, "AWS_ACCESS_KEY_ID");
        const char *key = variable(getenv_, "AWS_SECRET_ACCESS_KEY");
        const char *token = variable(getenv_, "AWS_SESSION_TOKEN");

        if (!id && !key)
                return;
        if (!id || !key) {
                refuse(w, id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                       id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
                return;
        }
        w->offer = SHARED_KEYS;
        w->access_key_id = own_string(id);
        w->secret_access_key = sealed_new(key, strlen(key));
        w->session_token = token ? sealed_new(token, strlen(token)) : NULL;
}

/* As EKS sets it for the role of a service account. */
static void read_web_identity(struct shared_way *w, const char *(*getenv_)(const char *) )
{
        w->token_file = own_string(variable(getenv_, "AWS_WEB_IDENTITY_TOKEN_FILE"));
        w->role_arn = own_string(variable(getenv_, "AWS_ROLE_ARN"));
        w->session_name = own_string(variable(getenv_, "AWS_ROLE_SESSION_NAME"));
        if (w->token_file && w->role_arn)
                w->offer = SHARED_WEB_IDENTITY;
        else if (w->token_file)
                refuse(w, "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
}

void chain_environment_read(struct chain_environment *c, const char *(*getenv_)(const char *name))
{
        read_keys(&c->keys, getenv_);
        read_web_identity(&c->web_identity, getenv_);
}

void chain_environment_clear(struct chain_environment *c)
{
        shared_way_clear(&c->keys);
        shared_way_clear(&c->web_identity);
}
