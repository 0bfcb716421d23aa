/* Rounds of the rotation machine: when the next one begins, which version is worth a login. */
#ifndef PGB_SECRET_ROTATION_ROUND_H
#define PGB_SECRET_ROTATION_ROUND_H

#include "secret/rotation_state.h"

/* The end of this rest: when the next round begins. */
uint64_t round_due(const struct rotation *r);
void round_due_by(struct rotation *r, uint64_t at);     /* not later than that */
void round_begin(struct rotation *r, uint64_t now);
/* Ends the round; the machine rests for a time that depends on how things stand. */
void round_end(struct rotation *r, uint64_t now);

void round_probe(struct rotation *r, struct version *v, enum rotation_step step);
/* When the labels have brought nothing: a second try with what is known, or the end. */
void round_retry(struct rotation *r, uint64_t now);

/* In a bridge: try this one at once? */
bool round_is_news(struct rotation *r, const struct version *v, uint64_t now);
/* While the active version works: prove AWSCURRENT's now? */
bool round_worth_proving(struct rotation *r, const struct version *v, uint64_t now);
/* A login with it did not work: when is it to be proven again? */
void round_prove_later(struct rotation *r, struct version *v, uint64_t now);

#endif
