/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on standard error: level, subsystem, object, message with key=value pairs at its end.
 * Only the orchestrator and programs log above debug; libraries return errors instead.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Lines above this level are dropped (the only mutable global of berth). Default: info. */
void log_set_level(enum log_level level);

/** Level by name ("error", "warn", "info", "debug"); -1 when unknown. */
int log_level_parse(const char *name);

/**
 * One line. subsystem: a short word ("api", "vm"). object: what it is about ("shop/web/1") or "".
 * The message names what a user must do where he must act.
 */
void log_line(enum log_level level, const char *subsystem, const char *object, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#define log_error(sub, obj, ...) log_line(LOG_LEVEL_ERROR, (sub), (obj), __VA_ARGS__)
#define log_warn(sub, obj, ...)  log_line(LOG_LEVEL_WARN, (sub), (obj), __VA_ARGS__)
#define log_info(sub, obj, ...)  log_line(LOG_LEVEL_INFO, (sub), (obj), __VA_ARGS__)
#define log_debug(sub, obj, ...) log_line(LOG_LEVEL_DEBUG, (sub), (obj), __VA_ARGS__)

#endif
