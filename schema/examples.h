/* SPDX-License-Identifier: Apache-2.0 */
/* How keys are written, for `berth explain`. A test reads each of them as a manifest. */
#ifndef SCHEMA_EXAMPLES_H
#define SCHEMA_EXAMPLES_H

struct example {
        const char *key;  /* "services.*.ports", "volumes" */
        const char *text; /* lines of YAML, as they stand in a service or at the top level */
};

/* key NULL at the end. */
extern const struct example examples[];

/** The example of a key, or NULL. */
const char *example_of(const char *key);

#endif
