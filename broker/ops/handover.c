#include "ops/handover.h"

#include <unistd.h>

#define VERSION 1

const char *handover_refusal_text(uint32_t refusal)
{
        static const char *const texts[] = {
#define X(name, text) text,
                HANDOVER_REFUSALS(X)
#undef X
        };
        return refusal < HANDOVER_REFUSAL_COUNT ? texts[refusal] : "it gives no reason that is known";
}

bool handover_send(int socket, struct handover h, const int *fds, size_t count)
{
        h.version = VERSION;
        return pass_send(socket, &h, sizeof h, fds, count);
}

enum pass_verdict handover_receive(int socket, struct handover *h, int *fds)
{
        enum pass_verdict v = pass_receive(socket, h, sizeof *h, fds);
        if (v != PASS_READY || h->version == VERSION)
                return v;
        handover_close(fds);
        return PASS_OVER;
}

void handover_close(int *fds)
{
        for (int i = 0; i < PASS_MOST; i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
                fds[i] = -1;
        }
}
