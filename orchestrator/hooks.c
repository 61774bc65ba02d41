/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/hooks.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"

struct hook_run {
        struct exec_session session; /* first: the guest's session pointer */
        struct hook_runner *runner;  /* NULL: nobody waits for it any more */
        struct guest *guest;
        int exec_id;
};

static void run_next(struct hook_runner *h);

static void done(struct hook_runner *h, const char *failure)
{
        strbuf_release(&h->output);
        h->guest = NULL;
        h->on_done(h->ctx, failure);
}

static char *failure_text(const struct hook_runner *h, const struct guest_exit *exit)
{
        const char *output = strbuf_str(&h->output);
        size_t first_line = strcspn(output, "\n");

        if (exit->start_failed)
                return xasprintf("%s[%zu] could not run: %s", h->what, h->next, exit->text);
        return xasprintf("%s[%zu] exited %d%s%.*s", h->what, h->next, exit->code,
                         first_line ? ": " : "", (int)(first_line > 200 ? 200 : first_line),
                         output);
}

static void on_hook_output(struct exec_session *session, enum guest_stream stream,
                           const void *bytes, size_t len)
{
        struct hook_run *run = container_of(session, struct hook_run, session);
        struct hook_runner *h = run->runner;
        size_t room = h ? h->output.max - h->output.len : 0;

        if (h)
                strbuf_add(&h->output, bytes, len < room ? len : room); /* the rest nobody reads */
        guest_exec_credit(run->guest, run->exec_id, stream, len);
}

static void on_hook_exited(struct exec_session *session, const struct guest_exit *exit)
{
        struct hook_run *run = container_of(session, struct hook_run, session);
        struct hook_runner *h = run->runner;
        AUTO_FREE char *failure = NULL;

        free(run);
        if (!h)
                return;
        h->run = NULL;
        if (exit->code != 0 || exit->start_failed) {
                failure = failure_text(h, exit);
                done(h, failure);
                return;
        }
        h->next++;
        run_next(h);
}

/* What a hook is, for the guest; strings are borrowed from it. */
struct hook_exec {
        struct guest_exec exec;
        const char **argv, **env;
};

/* Lists come out of a file, too. */
static const char *text_of(const json_t *j)
{
        return json_is_string(j) ? json_string_value(j) : "";
}

static void hook_exec_init(struct hook_exec *e, const json_t *hook)
{
        json_t *command = json_object_get(hook, "command");
        json_t *environment = json_object_get(hook, "environment"), *value;
        const char *key;
        size_t n = 0;

        e->argv = xcalloc(json_array_size(command) + 1, sizeof(*e->argv));
        for (size_t i = 0; i < json_array_size(command); i++)
                e->argv[i] = text_of(json_array_get(command, i));
        e->env = xcalloc(json_object_size(environment) + 1, sizeof(*e->env));
        json_object_foreach(environment, key, value)
                e->env[n++] = xasprintf("%s=%s", key, text_of(value));
        e->exec = (struct guest_exec){.argv = e->argv,
                                      .n_argv = json_array_size(command),
                                      .env = e->env,
                                      .n_env = n,
                                      .user = json_str(hook, "user", NULL),
                                      .workdir = json_str(hook, "working_dir", NULL),
                                      .privileged = json_bool(hook, "privileged", false),
                                      .no_stdin = true};
}

static void hook_exec_release(struct hook_exec *e)
{
        for (size_t i = 0; i < e->exec.n_env; i++)
                free((void *)(uintptr_t)e->env[i]);
        free((void *)(uintptr_t)e->env);
        free((void *)(uintptr_t)e->argv);
}

static void run_next(struct hook_runner *h)
{
        AUTO_FREE char *failure = NULL;
        struct err err = ERR_INIT;
        struct hook_exec e;
        struct hook_run *run;

        if (h->next >= json_array_size(h->list)) {
                done(h, NULL);
                return;
        }
        strbuf_reset(&h->output);
        hook_exec_init(&e, json_array_get(h->list, h->next));
        run = xnew(struct hook_run);
        run->session.on_output = on_hook_output;
        run->session.on_exited = on_hook_exited;
        run->runner = h;
        run->guest = h->guest;
        run->exec_id = guest_exec_open(h->guest, &e.exec, &run->session, &err);
        hook_exec_release(&e);
        if (run->exec_id > 0) {
                h->run = run;
                return;
        }
        free(run);
        failure = xasprintf("%s[%zu]: %s", h->what, h->next, err.msg);
        done(h, failure);
}

void hook_runner_start(struct hook_runner *h, struct guest *guest, const char *what,
                       const json_t *list, void (*on_done)(void *ctx, const char *failure),
                       void *ctx)
{
        *h = (struct hook_runner){.guest = guest,
                                  .list = list,
                                  .what = what,
                                  .output = STRBUF_INIT(HOOKS_OUTPUT_MAX),
                                  .on_done = on_done,
                                  .ctx = ctx};
        run_next(h);
}

void hook_runner_cancel(struct hook_runner *h)
{
        if (!h->guest)
                return;
        if (h->run) {
                h->run->runner = NULL;
                guest_exec_close(h->guest, h->run->exec_id);
        }
        h->run = NULL;
        h->guest = NULL;
        strbuf_release(&h->output);
}

void hook_runner_drop(struct hook_runner *h)
{
        if (!h->guest)
                return;
        free(h->run);
        h->run = NULL;
        h->guest = NULL;
        strbuf_release(&h->output);
}
