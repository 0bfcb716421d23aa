/* What the parts of track share: track.c (lending and replies), track_send.c (requests). */
#ifndef PGB_TRACK_TRACK_PARTS_H
#define PGB_TRACK_TRACK_PARTS_H

#include "track/track.h"

/* There is no unnamed statement any more, neither the client's nor, on this server, anyone's. */
void track_drop_unnamed(struct track_client *c);

#endif
