#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * One line per fact, on standard error: UTC time, level, program, text. Only
 * programs log; libraries return errors. Secrets are never arguments.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* log_setup: program name (borrowed for ever, e.g. "edge edge1") and the highest level shown. */
void log_setup(const char *program, enum log_level max);

/* log_line: print one line; control characters in it become '?'. Any thread. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#endif
