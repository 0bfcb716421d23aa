#include "backend/backoff.h"

uint64_t backoff_pause(unsigned failures, uint64_t most, bool urgent, uint32_t dice)
{
        uint64_t pause = BACKOFF_FIRST;
        if (urgent && most > BACKOFF_URGENT)
                most = BACKOFF_URGENT;
        if (most < BACKOFF_FIRST)
                most = BACKOFF_FIRST;
        for (unsigned i = 1; i < failures && pause < most; i++)
                pause *= 2;
        if (pause > most)
                pause = most;
        return pause - dice % (pause / 2 + 1);
}

bool backoff_worth_saying(unsigned failures)
{
        return (failures & (failures - 1)) == 0;
}
