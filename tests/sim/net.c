/* SPDX-License-Identifier: Apache-2.0 */
/* network/net.h without netd: networks are entries of the world, and outlive us. */
#include "network/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

#define UP_MS      40
#define ANSWER_MS  5
#define SLOW_MS    3000
#define TIMEOUT_MS 10000 /* after it the driver gives a netd up that keeps silent */

struct tap {
        void (*cb)(void *ctx, int tap_fd, const struct err *err);
        void *ctx;
};

struct net {
        struct sim_net *in; /* NULL: it is gone */
        struct net_events events;
        bool adopted;
        struct tap *taps; /* asked for, in order */
        size_t taps_len;
        void (*forwards_cb)(void *ctx, const struct forward_result *results, size_t n,
                            const struct err *err);
        void *forwards_ctx;
        char **ids;
        size_t ids_len;
        struct net *next;
};

static struct net *nets;

struct sim_net *sim_net_pick(unsigned n)
{
        unsigned alive = 0;

        for (size_t i = 0; i < SIM_NETS; i++)
                alive += sim->nets[i].alive;
        for (size_t i = 0; i < SIM_NETS && alive; i++)
                if (sim->nets[i].alive && n % alive-- == 0)
                        return &sim->nets[i];
        return NULL;
}

/* Whether it is STACK/NAME. */
static bool is_called(const struct sim_net *in, const char *name)
{
        size_t n = strlen(in->stack);

        return strncmp(name, in->stack, n) == 0 && name[n] == '/' && streq(name + n + 1, in->name);
}

unsigned sim_net_birth(const char *name)
{
        for (size_t i = 0; i < SIM_NETS; i++)
                if (sim->nets[i].alive && is_called(&sim->nets[i], name))
                        return sim->nets[i].birth;
        return 0;
}

static void forget_ids(struct net *net)
{
        for (size_t i = 0; i < net->ids_len; i++)
                free(net->ids[i]);
        free(STEAL(net->ids));
        net->ids_len = 0;
}

static void forget(struct net *net)
{
        static const struct err canceled = {.code = ECANCELED, .msg = "nobody waits any more"};

        for (struct net **p = &nets; *p; p = &(*p)->next)
                if (*p == net) {
                        *p = net->next;
                        break;
                }
        sim_cancel(net);
        forget_ids(net);
        for (size_t i = 0; i < net->taps_len; i++)
                net->taps[i].cb(net->taps[i].ctx, -1, &canceled);
        free(net->taps);
        free(net);
}

static void tell_ready(void *owner, int arg)
{
        struct net *net = owner;

        (void)arg;
        net->events.on_ready(net->events.ctx);
}

/* Requests fail first; the net is gone once on_lost has returned. */
static void tell_lost(void *owner, int arg)
{
        const struct err err = {.code = ENETDOWN, .msg = "netd ended"};
        struct net *net = owner;

        (void)arg;
        sim_cancel(net);
        for (size_t i = 0; i < net->taps_len; i++)
                net->taps[i].cb(net->taps[i].ctx, -1, &err);
        net->taps_len = 0;
        net->events.on_lost(net->events.ctx, &err);
        forget(net);
}

static void tell_tap(void *owner, int failed)
{
        const struct err err = {.code = ENOMEM, .msg = "netd has no tap left"};
        struct net *net = owner;
        struct tap tap = net->taps[0];

        memmove(&net->taps[0], &net->taps[1], (net->taps_len - 1) * sizeof(tap));
        net->taps_len--;
        tap.cb(tap.ctx, failed ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC), failed ? &err : NULL);
}

/* arg: how many of them cannot be bound. */
static void tell_forwards(void *owner, int unbound)
{
        struct net *net = owner;
        struct forward_result *results = xcalloc(net->ids_len, sizeof(*results));
        size_t n = net->ids_len;

        for (size_t i = 0; i < n; i++)
                results[i] = (struct forward_result){.id = net->ids[i],
                                                     .bound = unbound-- <= 0,
                                                     .host_port = 40000,
                                                     .error = "address already in use"};
        net->forwards_cb(net->forwards_ctx, results, n, NULL);
        free(results);
}

void sim_net_dies(struct sim_net *in)
{
        in->alive = false;
        for (struct net *net = nets; net; net = net->next)
                if (net->in == in) {
                        net->in = NULL;
                        sim_cancel(net);
                        sim_post(0, tell_lost, net, 0);
                }
}

static void on_silence(void *owner, int arg)
{
        struct net *net = owner;

        (void)arg;
        if (net->in)
                sim_net_dies(net->in);
}

static struct sim_net *find_or_new(const struct net_spec *spec, bool *ret_adopted)
{
        struct sim_net *in = NULL;

        for (size_t i = 0; i < SIM_NETS; i++)
                if (sim->nets[i].alive && streq(sim->nets[i].dir, spec->dir)) {
                        *ret_adopted = true;
                        return &sim->nets[i];
                }
        for (size_t i = 0; i < SIM_NETS && !in; i++)
                if (!sim->nets[i].alive)
                        in = &sim->nets[i];
        if (!in)
                bug("more networks than the world holds");
        *in = (struct sim_net){.alive = true, .birth = ++sim->net_births};
        (void)snprintf(in->dir, sizeof(in->dir), "%s", spec->dir);
        (void)snprintf(in->stack, sizeof(in->stack), "%s", spec->stack);
        (void)snprintf(in->name, sizeof(in->name), "%s", spec->name);
        return in;
}

int net_start(struct ev_loop *loop, const struct net_spec *spec, const struct net_events *events,
              struct net **ret_net, struct err *err)
{
        enum sim_how how = sim_fault(CALL_NET_START);
        struct net *net;

        (void)loop;
        if (how == HOW_ERROR)
                return err_set(err, EPERM, "no namespace to be had");
        sim_effect("net_start");
        net = xnew(struct net);
        net->in = find_or_new(spec, &net->adopted);
        net->events = *events;
        net->next = nets;
        nets = net;
        sim_trace("network %s/%s %s", spec->stack, spec->name, net->adopted ? "adopted" : "starts");
        if (how == HOW_PARTIAL) /* it came up, and ended before it said so */
                sim_net_dies(net->in);
        else if (how == HOW_HANG)
                sim_post(TIMEOUT_MS, on_silence, net, 0);
        else
                sim_post((net->adopted ? 1 : UP_MS) + (how == HOW_SLOW ? SLOW_MS : 0), tell_ready,
                         net, 0);
        *ret_net = net;
        return 0;
}

void net_detach(struct net *net)
{
        if (net)
                forget(net);
}

void net_stop(struct net *net)
{
        sim_effect("net_stop");
        if (net->in) {
                sim_trace("network %s/%s ends", net->in->stack, net->in->name);
                for (size_t i = 0; i < SIM_VMS; i++)
                        for (size_t k = 0; sim->vms[i].alive && k < VM_NICS_MAX; k++)
                                if (!sim->vms[i].dying && is_called(net->in, sim->vms[i].nets[k]))
                                        sim_broken("a network taken from a VM: %s of %s/%s/%u",
                                                   net->in->name, sim->vms[i].stack,
                                                   sim->vms[i].service, sim->vms[i].replica);
                net->in->alive = false;
        }
        forget(net);
}

int net_open_tap(struct net *net, void (*cb)(void *ctx, int tap_fd, const struct err *err),
                 void *ctx, struct err *err)
{
        enum sim_how how = sim_fault(CALL_NET_TAP);
        struct tap *tap;

        if (how == HOW_ERROR || !net->in)
                return err_set(err, ENETDOWN, "netd does not listen");
        tap = array_push(&net->taps, &net->taps_len);
        *tap = (struct tap){cb, ctx};
        if (how == HOW_HANG)
                sim_post(TIMEOUT_MS, on_silence, net, 0);
        sim_post(how == HOW_SLOW || how == HOW_HANG ? TIMEOUT_MS : ANSWER_MS, tell_tap, net,
                 how == HOW_PARTIAL);
        return 0;
}

int net_set_zone(struct net *net, const struct zone *zone, struct err *err)
{
        (void)net;
        (void)zone;
        if (sim_fault(CALL_NET_ZONE) == HOW_ERROR)
                return err_set(err, EAGAIN, "netd's queue is full");
        sim_effect("net_set_zone");
        return 0;
}

int net_set_forwards(struct net *net, const struct forward *forwards, size_t n,
                     void (*cb)(void *ctx, const struct forward_result *results, size_t n,
                                const struct err *err),
                     void *ctx, struct err *err)
{
        enum sim_how how = sim_fault(CALL_NET_FORWARDS);

        if (how == HOW_ERROR)
                return err_set(err, EAGAIN, "netd's queue is full");
        sim_effect("net_set_forwards");
        forget_ids(net);
        for (size_t i = 0; i < n; i++)
                *array_push(&net->ids, &net->ids_len) = xstrdup(forwards[i].id);
        net->forwards_cb = cb;
        net->forwards_ctx = ctx;
        sim_post(how == HOW_SLOW ? SLOW_MS : ANSWER_MS, tell_forwards, net, how == HOW_PARTIAL);
        return 0;
}

uint32_t net_gateway(uint32_t subnet, unsigned bits)
{
        (void)bits;
        return subnet + 1;
}

uint32_t net_host_address(void)
{
        return UINT32_C(0xc0000201); /* 192.0.2.1 */
}

bool net_address_usable(uint32_t subnet, unsigned bits, uint32_t ip)
{
        uint32_t size = UINT32_C(1) << (32 - bits);

        return ip > subnet + 1 && ip < subnet + size - 1;
}

int net_pid(const struct net *net)
{
        return net->in ? 500 + (int)(net->in - sim->nets) : 0;
}

bool net_adopted(const struct net *net)
{
        return net->adopted;
}
