/* Assertions that stay on in release builds: a broker with a corrupt pool must die, not serve. */
#ifndef PGB_BASE_EXPECT_H
#define PGB_BASE_EXPECT_H

#define expect(condition)                                                                          \
        ((condition) ? (void) 0 : expect_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn void expect_failed(const char *condition, const char *file, int line, const char *function);

#endif
