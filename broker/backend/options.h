/* The settings of one environment's pool: PgBouncer's names and meanings where it has them.
 * Times in milliseconds, 0 = off. A header only: filled by the configuration, read by pool,
 * server and session. */
#ifndef PGB_BACKEND_OPTIONS_H
#define PGB_BACKEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "backend/target.h"

enum pool_mode { POOL_TRANSACTION, POOL_SESSION };

/* With which of several hosts the next login begins. */
enum balance { BALANCE_ROUND_ROBIN, BALANCE_DISABLE };

/* Of server connections; the times are rounded up to whole seconds where the kernel counts in them. */
struct tcp_options {
        bool keepalive;
        uint32_t keepcnt;               /* 0 in these: as the system has it */
        uint64_t keepidle, keepintvl, user_timeout;
};

struct pool_options {
        enum pool_mode pool_mode;
        uint32_t pool_size;             /* 20; at least 1 */
        uint32_t min_pool_size;         /* 0 */
        uint32_t reserve_pool_size;     /* 0 */
        uint32_t max_prepared_statements; /* 200: of clients, on a server; 0 = a named statement pins */
        uint32_t max_pinned;            /* 0 = three quarters of pool_size, never all of it */
        uint32_t max_client_conn;       /* clients of this environment; 0 = no own limit */
        uint32_t max_db_connections;    /* 0; caps pool_size and the reserve: one environment, one database */
        uint32_t max_db_client_connections;     /* 0 */
        uint32_t max_user_connections;  /* 0; lent to the clients of one uid */
        uint32_t max_user_client_connections;   /* 0 */
        uint64_t reserve_pool_timeout;  /* 5 s */
        uint64_t query_wait_timeout;    /* 120 s */
        uint64_t cancel_wait_timeout;   /* 10 s: until a cancel request is sent; until it is done */
        uint64_t server_lifetime;       /* 3600 s, less up to a tenth by chance; 0 = one use */
        uint64_t server_idle_timeout;   /* 600 s */
        uint64_t server_connect_timeout;/* 15 s */
        uint64_t server_login_retry;    /* 15 s; never after 28P01 or 28000 */
        uint64_t pin_drain_timeout;     /* 300 s: how long a pin may hold a server that must go */
        uint64_t pin_idle_timeout;      /* 0: how long a pinned client may say nothing */
        uint64_t message_timeout;       /* 30 s: a client stuck inside a message while it holds a server */
        uint64_t client_login_timeout;  /* 60 s: waiting for the client's own bytes */
        uint64_t client_idle_timeout;   /* 0 */
        uint64_t idle_transaction_timeout; /* 0 */
        uint64_t query_wait_notify;     /* 5 s */
        uint64_t query_timeout;         /* 0 */
        uint64_t transaction_timeout;   /* 0 */
        uint64_t server_check_delay;    /* 30 s; 0 = always */
        const char *server_check_query; /* "<empty>" = an empty query; "" = no test */
        const char *connect_query;      /* "" = none */
        enum target_session_attrs target;      /* target_session_attrs */
        enum balance load_balance_hosts;
        uint64_t dns_max_ttl;           /* 15 s */
        bool server_round_robin, server_fast_close;
        bool replication;               /* true: replication connections are let in */
        bool pin_notice;                /* false: a client is told when it gets pinned */
        struct tcp_options tcp;
};

#endif
