/* Any bytes as a script for clients, servers and the broker's tracking between them: what must hold
 * is said in the model. A seed is text: three clients' start parameters, then steps (world_act.h). */
#include <stdint.h>
#include "../unit/track/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct world w;

        if (size <= 4096)
                world_play(data, size, &w);
        return 0;
}
