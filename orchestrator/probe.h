/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of one running service by its healthcheck, with the semantics of the Compose
 * Specification: every `interval` the test runs in the guest, at most `timeout` long; `retries`
 * failures in a row make it unhealthy, one success healthy; failures within `start_period` do not
 * count.
 *
 * Better than waiting a whole interval for the first answer: while the state is STARTING the test
 * also runs early (at once, then after a quarter of the time since the start, at least 100 ms, up
 * to the interval). Such an early failure counts for nothing, so a service is never unhealthy
 * sooner than the specification says, but often healthy sooner.
 */
#ifndef ORCHESTRATOR_PROBE_H
#define ORCHESTRATOR_PROBE_H

#include <ev.h>

#include "base/strbuf.h"
#include "orchestrator/exec.h"
#include "orchestrator/probe_log.h"
#include "reconciler/facts.h"
#include "schema/manifest.h"
#include "storage/image.h"

/* Defaults of the specification. */
#define PROBE_INTERVAL_MS       30000
#define PROBE_TIMEOUT_MS        30000
#define PROBE_RETRIES           3
#define PROBE_START_INTERVAL_MS 5000

/* The resolved healthcheck; argv empty: none. Plain data, freed by probe_spec_release(). */
struct probe_spec {
        char **argv;
        size_t argv_len;
        int64_t interval_ms, timeout_ms, start_period_ms, start_interval_ms;
        int retries;
};

/** From the service's healthcheck over the image's. address: where a port of it is tested. */
void probe_spec_resolve(const struct service *service, const struct image *image,
                        const char *address, struct probe_spec *ret);
void probe_spec_release(struct probe_spec *spec);
bool probe_spec_equal(const struct probe_spec *a, const struct probe_spec *b);

struct probe;

/* One test that was started. It outlives a test that timed out, until the guest says it ended. */
struct probe_run {
        struct exec_session session; /* first: the guest's session pointer */
        struct probe *probe;
        int exec_id;
};

struct probe {
        struct ev_loop *loop;
        struct guest *guest; /* borrowed; NULL while the guest is not to be reached */
        struct probe_spec spec;
        enum health_state state;
        ev_timer next, timeout;
        struct probe_run **runs; /* all that the guest has not ended yet */
        size_t runs_len;
        struct probe_run *run; /* the one whose result counts, or NULL */
        bool early;            /* it is an early one */
        int failures;          /* in a row, that count */
        int64_t started_ms, due_ms;
        struct strbuf output; /* of the present test */
        bool truncated;       /* it says more */
        int64_t began_ns;     /* the test, by the wall clock */
        struct probe_log log; /* of tests that ended, counting or early */
        char *message;        /* of the last failure; NULL */
        void (*on_change)(struct probe *probe, void *ctx);
        void *ctx;
};

/** Ready to start; spec is taken. on_change is told whenever state or message changed. */
void probe_init(struct probe *probe, struct ev_loop *loop,
                void (*on_change)(struct probe *probe, void *ctx), void *ctx);
void probe_release(struct probe *probe);

/**
 * Begin, or go on after a new spec or a reconnected guest. spec: taken. state: what is known
 * already (after an adoption), HEALTH_STARTING for a new service. Without a test the state becomes
 * NONE.
 */
void probe_start(struct probe *probe, struct guest *guest, struct probe_spec *spec,
                 enum health_state state);

/** Stop testing, and know nothing: the service starts again. */
void probe_forget(struct probe *probe);

/** Stop testing: the service ended or the guest is lost. */
void probe_stop(struct probe *probe);

#endif
