/* Thousands of random scripts against the model: see world.h. */
#include "../base/cmocka_all.h"
#include "world.h"

#ifdef __SANITIZE_ADDRESS__
#define SCRIPTS 10000
#else
#define SCRIPTS 20000
#endif
#define STEPS 60

static char script[STEPS * 20 + 10];

/* A failed expect() ends the process: the script is what one needs then. */
static void tell_script(int signal_number)
{
        static const char head[] = "\nthe script was: ";
        (void) signal_number;
        if (write(2, head, sizeof head - 1) > 0 && write(2, script, strlen(script)) > 0)
                (void) !write(2, "\n", 1);
}

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
        *seed = *seed * 1664525u + 1013904223u;
        return (*seed >> 8) % sides;
}

/* Tables are altered under a statement that one client, and maybe another, has prepared. */
static char *write_alteration(char *p, uint32_t *seed)
{
        unsigned one = dice(seed, WORLD_CLIENTS), other = dice(seed, WORLD_CLIENTS), name = 1 + dice(seed, 2);
        char text = "abBw"[dice(seed, 4)];
        p += sprintf(p, "P%u%u%cS%u", one, name, text, one);
        if (dice(seed, 2))
                *p++ = '.';
        if (dice(seed, 2))
                p += sprintf(p, "z%u%u", other, name);
        *p++ = 'A';
        return p + sprintf(p, "%c%u%u", "zzZ"[dice(seed, 3)], dice(seed, 2) ? one : other, name);
}

static void write_script(uint32_t seed)
{
        static const char ops[] = "QQQQQQxxxxxyyLPPlBBBDEEEECSSSSSHFdddkkkfrrrrrrssssssswwwwwwwX....NVAzzZ";
        char *p = script;
        for (int i = 0; i < WORLD_CLIENTS; i++)
                *p++ = (char) ('0' + dice(&seed, 64));
        int steps = 5 + (int) dice(&seed, STEPS - 5);
        for (int i = 0; i < steps; i++) {
                char op = ops[dice(&seed, sizeof ops - 1)];
                if (op == 'A') {
                        p = write_alteration(p, &seed);
                        continue;
                }
                *p++ = op;
                if (op == '.')
                        continue;
                *p++ = (char) ('0' + dice(&seed, strchr("swNV", op) ? WORLD_SERVERS : WORLD_CLIENTS));
                if (strchr("Pl", op))
                        *p++ = (char) ('0' + dice(&seed, 3));
                if (strchr("QLPlxy", op))
                        *p++ = world_texts[dice(&seed, WORLD_TEXTS)].letter;
                else if (op == 'z' || op == 'Z')
                        *p++ = (char) ('0' + dice(&seed, 3));
                else if (strchr("BE", op))
                        p += sprintf(p, "%u%u", dice(&seed, 4) == 0, dice(&seed, 4) ? 0 : dice(&seed, 3));
                else if (strchr("DC", op))
                        p += sprintf(p, "%c%u", "SP"[dice(&seed, 2)], dice(&seed, 3));
                else if (op == 'd')
                        *p++ = "1111!"[dice(&seed, 5)];
                else if (strchr("rw", op))
                        *p++ = dice(&seed, 2) ? '9' : (char) ('0' + dice(&seed, 10));
                else if (op == 'X')
                        *p++ = (char) ('0' + dice(&seed, 64));
        }
        *p = 0;
}

static void nobody_can_tell_that_the_servers_are_shared(void **state)
{
        static struct world w;
        unsigned lent = 0, cleaned = 0, audits = 0, heard = 0, held = 0, again = 0;
        const char *only = getenv("MODEL_SCRIPT");
        (void) state;
        signal(SIGABRT, tell_script);
        for (uint32_t i = 0; i < (only ? 1 : SCRIPTS); i++) {
                write_script(i);
                if (only)
                        snprintf(script, sizeof script, "%s", only);
                world_play((const uint8_t *) script, strlen(script), &w);
                lent += w.lent;
                cleaned += w.cleaned;
                audits += w.audits;
                heard += w.heard;
                held += w.held;
                again += w.again;
        }
        print_message("lent %u cleaned %u audits %u heard %u held %u again %u\n", lent, cleaned, audits, heard,
                      held, again);
        assert_true(only || (lent > SCRIPTS && cleaned > SCRIPTS / 10 && audits > SCRIPTS / 10 &&
                             heard > 10 * SCRIPTS && again > SCRIPTS / 200));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_can_tell_that_the_servers_are_shared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
