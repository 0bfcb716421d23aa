/* Moves messages between one client and the server it has. Bytes go on from where they were read;
 * only headers, and the few payloads that session tracking needs, are looked at. */
#ifndef PGB_FRONTEND_RELAY_H
#define PGB_FRONTEND_RELAY_H

#include "backend/server.h"
#include "base/errors.h"
#include "base/stats.h"

/* What of the client's stream is thrown away: it has canceled it while it waited to be sent. */
enum relay_drop {
        RELAY_DROP_NOTHING,
        RELAY_DROP_REQUEST,             /* the next message, which is answered as canceled ... */
        RELAY_DROP_BATCH                /* ... and, in the extended protocol, all up to the Sync */
};

struct relay {
        struct stream *client;
        struct server *server;          /* NULL: none at the moment */
        struct track_client track;
        struct frame_cutter cutter;     /* of what the client sends */
        struct stats *stats;            /* of the pool */
        struct errors *errors;          /* likewise */
        enum relay_drop drop;
        uint32_t pid;                   /* what the client was told as its process id */
        struct error *canceled_for;     /* what the next 57014 of the server is worded as; NULL = its own */
        uint64_t xact_us;               /* when the transaction that is open, or the last one, began */
        uint32_t answers, readies;      /* statements, and requests, that were answered to the client */
        bool may_pin;                   /* leave to pin was given */
        bool pin_notice;                /* the client wants to be told that it is pinned ... */
        bool pin_told;                  /* ... and has been */
        bool muted;                     /* the client is not welcomed yet: nothing goes to it */
        bool raw;                       /* replication: all goes through as it is */
        bool swallowing;                /* the rest of a message is for no server */
        bool fatal;                     /* no word of the broker's own may follow: the client has the
                                         * server's FATAL, or one half of a message */
};

/* Why relaying stopped. */
enum relay_verdict {
        RELAY_MORE,                     /* all that is there has been moved */
        RELAY_NEED_SERVER,              /* the next message needs a server */
        RELAY_NEED_PIN,                 /* the next message needs leave to pin */
        RELAY_FULL,                     /* some replies must come first */
        RELAY_GOODBYE,                  /* Terminate */
        RELAY_LOST,                     /* the server ended an idle session, or said what nobody asked
                                         * for (the error says it): drop it unseen */
        RELAY_BAD                       /* see the error */
};

/* From the client; *used is how much has been moved. */
enum relay_verdict relay_requests(struct relay *r, const uint8_t *p, size_t n, size_t *used,
                                  struct error *e);
/* From the server. */
enum relay_verdict relay_replies(struct relay *r, const uint8_t *p, size_t n, size_t *used,
                                 struct error *e);
/* A server was given: sends what has to go first. */
void relay_attach(struct relay *r, struct server *s, bool reset);
/* Asks the server which pins are still alive, if it is time to. */
bool relay_audit(struct relay *r);
/* The request that relay_requests() stopped at, for want of a server or of leave to pin, is not sent:
 * it will be answered as canceled when it is offered again. */
void relay_cancel(struct relay *r);
/* Tells the client something, if it may be told now and wants to hear of it. */
void relay_notice(struct relay *r, const char *text);
/* May the server go back now? */
static inline bool relay_done(const struct relay *r)
{
        return frame_at_border(&r->cutter) && frame_at_border(&r->server->cutter) &&
               track_lendable(&r->track, &r->server->track);
}

/* May the broker tell the client something? In the middle of a server's message it would be taken for
 * the rest of that. */
static inline bool relay_may_speak(const struct relay *r)
{
        return !r->fatal && (!r->server || frame_at_border(&r->server->cutter));
}

#endif
