/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_FAIL_H
#define VMINIT_FAIL_H

/*
 * vminit's error: an errno and one line for people, of fixed size so that a child can write it into
 * a pipe. Functions return 0, or a negative errno with `fail` filled. Text is lower case and has no
 * full stop.
 */

#define FAIL_TEXT_MAX 256

struct fail {
        int code;   /* errno */
        int status; /* what a shell would exit with: 125 setup, 126 cannot be run, 127 not found */
        char text[FAIL_TEXT_MAX];
};

/**
 * Fill *f with code and a text; ": strerror" is put behind it when code is not 0. status becomes
 * 125. Returns -code, or -EINVAL when code is 0.
 */
int fail_set(struct fail *f, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * As fail_set, with an exit status and without strerror in the text.
 */
int fail_status(struct fail *f, int code, int status, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#endif
