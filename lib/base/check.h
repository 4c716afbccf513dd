#ifndef BASE_CHECK_H
#define BASE_CHECK_H
/*
 * The one assertion. It states an invariant of ours, never a property of
 * input, and stays on in release: a process whose invariants are broken stops
 * before it acknowledges anything more.
 */
#define CHECK(cond) ((cond) ? (void)0 : check_fail(#cond, __FILE__, __LINE__))

/* check_fail: print the broken invariant and abort. Any thread. */
_Noreturn void check_fail(const char *cond, const char *file, int line);

/*
 * CLEANUP: run fn(&var) when var leaves its scope. The one cleanup macro;
 * destructors given to it accept pointers to NULL and half-built objects.
 */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#endif
