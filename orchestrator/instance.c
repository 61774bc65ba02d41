/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/instance_internal.h"
#include "schema/hooks.h"

void instance_emit(const struct instance *in, const char *type, const char *reason, const char *fmt,
                   ...)
{
        AUTO_FREE char *text = NULL;
        va_list ap;

        if (in->ahead)
                return;
        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        event_emit(in->env->events, in->stack, in->service, in->replica, type, reason, "%s", text);
}

bool instance_is_of(const struct instance *in, const char *stack, const char *service,
                    unsigned replica)
{
        return in->replica == replica && streq(in->stack, stack) && streq(in->service, service);
}

void instance_arm(struct instance *in, int64_t ms)
{
        ev_timer_stop(in->env->loop, &in->deadline);
        ev_timer_set(&in->deadline, (double)ms / 1000.0, 0.0);
        if (ms > 0)
                ev_timer_start(in->env->loop, &in->deadline);
}

void instance_set_state(struct instance *in, enum vm_state state)
{
        in->state = state;
        in->since_ms = in->env->now_ms(in->env);
        in->env->on_change(in->env, in);
}

void instance_set_message(struct instance *in, const char *message)
{
        char *copy = message && *message ? xstrdup(message) : NULL;

        free(in->message);
        in->message = copy;
}

void instance_note(struct instance *in)
{
        in->unsaved = true;
        in->env->on_change(in->env, in);
}

void instance_save_noted(struct instance *in)
{
        struct err err = ERR_INIT;

        in->unsaved = false;
        if (in->state == VM_STOPPING)
                return; /* for the next daemon it is what it was before it was told to stop */
        if (in->vm && instance_save(in, &err) < 0)
                log_warn("vm", in->id, "%s", err.msg);
}

/* --------------------------------------------------------------------------------------- health */

static void on_probe_change(struct probe *probe, void *ctx)
{
        struct instance *in = ctx;
        static const char *const types[] = {[HEALTH_NONE] = NULL,
                                            [HEALTH_STARTING] = NULL,
                                            [HEALTH_HEALTHY] = "healthy",
                                            [HEALTH_UNHEALTHY] = "unhealthy"};

        if (probe->state != in->health_shown) {
                in->health_shown = probe->state;
                in->health_since_ms = in->env->now_ms(in->env);
                if (types[probe->state])
                        instance_emit(in, types[probe->state], "", "%s",
                                      probe->message ? probe->message : "healthcheck passed");
                in->unsaved = true;
        }
        in->env->on_change(in->env, in);
}

/* Where others reach it: a program that listens on loopback only is not healthy. */
static void address_text(const struct instance *in, char *ret)
{
        value_ip4_text(in->nics_len ? in->nics[0].ip : INADDR_LOOPBACK, ret);
}

void instance_update_probe(struct instance *in, const struct service *service)
{
        const struct image_entry *entry = images_find(in->env->images, in->image);
        char address[VALUE_IP4_MAX];
        struct probe_spec spec;

        if (in->state != VM_RUNNING || !in->guest || !guest_is_live(in->guest))
                return;
        address_text(in, address);
        probe_spec_resolve(service, entry ? entry->image : NULL, address, &spec);
        if (in->probe.guest == in->guest && probe_spec_equal(&spec, &in->probe.spec))
                probe_spec_release(&spec);
        else
                probe_start(&in->probe, in->guest, &spec, in->probe.state);
}

/* --------------------------------------------------------------------------------- birth, death */

struct instance *instance_new(struct instance_env *env, struct desired *desired,
                              const struct service *service, unsigned replica)
{
        struct instance *in = xnew(struct instance);
        char id[13];

        random_hex(id, 12);
        in->env = env;
        in->id = xstrdup(id);
        in->dir = xasprintf("%s/vm/%s", env->run_dir, id);
        in->scratch = xasprintf("%s/%s.ext4", env->scratch_dir, id);
        in->replica = replica;
        in->runs = 1;
        in->open_streams = INSTANCE_STREAMS;
        in->times.decided = clock_mono_ns();
        in->since_ms = env->now_ms(env);
        if (desired) {
                in->desired = desired_ref(desired);
                in->stack = xstrdup(desired->stack->name);
                in->service = xstrdup(service->name);
                in->image_ref = xstrdup(service->image);
                in->image = xstrdup(
                        desired_image(desired, (size_t)(service - desired->stack->services)));
                in->stop_signal = xstrdup(service->stop_signal);
                in->stop_grace_ms = service->stop_grace_period_ms;
                in->post_start = hooks_to_json(&service->post_start);
                in->pre_stop = hooks_to_json(&service->pre_stop);
        }
        probe_init(&in->probe, env->loop, on_probe_change, in);
        ev_timer_init(&in->deadline, instance_on_deadline, 0.0, 0.0);
        ev_timer_init(&in->reconnect, instance_on_reconnect_due, 0.0, 0.0);
        return in;
}

void instance_free(struct instance *in)
{
        if (!in)
                return;
        instance_arm(in, 0);
        ev_timer_stop(in->env->loop, &in->reconnect);
        images_cancel(in->env->images, in);
        instance_forget_taps(in);
        instance_drop_member(in);
        instance_drop_guest(in);
        probe_release(&in->probe);
        json_decref(in->post_start);
        json_decref(in->pre_stop);
        vm_free(in->vm);
        if (in->attach)
                in->attach->instance = NULL;
        guest_setup_free(in->setup);
        instance_close_taps(in);
        for (size_t i = 0; i < in->nics_len; i++) {
                free(in->nics[i].network);
                free(in->nics[i].shared);
                str_list_clear(&in->nics[i].aliases);
        }
        instance_free_ports(in);
        free(in->trouble);
        str_list_clear(&in->volumes);
        desired_unref(in->desired);
        free(in->nics);
        free(in->id);
        free(in->stack);
        free(in->service);
        free(in->image_ref);
        free(in->image);
        free(in->dir);
        free(in->scratch);
        free(in->message);
        free(in->stop_signal);
        free(in->rootfs);
        free(in->pool_reason);
        free(in);
}
